import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { CallContext } from './call-context.js';
import type { EncodedReply } from './codec.js';

/** Handler of one method: what it gets and returns follows from its kind. */
export type MethodHandler<Method> = Method extends {
  methodKind: infer Kind;
  input: infer Input extends DescMessage;
  output: infer Output extends DescMessage;
}
  ? Kind extends 'unary'
    ? (request: MessageShape<Input>, call: CallContext) => Promise<Reply<Output>>
    : Kind extends 'server_streaming'
      ? (request: MessageShape<Input>, call: CallContext) => AsyncIterable<Reply<Output>>
      : Kind extends 'client_streaming'
        ? (requests: AsyncIterable<MessageShape<Input>>, call: CallContext) => Promise<Reply<Output>>
        : (requests: AsyncIterable<MessageShape<Input>>, call: CallContext) => AsyncIterable<Reply<Output>>
  : never;

/** What a handler may answer: a message, the fields of one, or its bytes. */
export type Reply<Output extends DescMessage> =
  | MessageShape<Output>
  | MessageInitShape<Output>
  | EncodedReply;

/** What a controller of a service implements: one method per RPC, named as in the descriptor. */
export type ServiceHandlers<Service extends DescService> = {
  [Name in keyof Service['method']]: MethodHandler<Service['method'][Name]>;
};

/** Full path of a method on the wire, `/package.Service/Method`. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
