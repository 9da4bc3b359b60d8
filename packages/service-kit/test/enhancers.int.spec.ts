import { AppError } from '@agentforge/errors';
import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type RpcExceptionFilter,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { map, throwError } from 'rxjs';
import { type CallContext, createClient, GrpcService } from '../src/index.js';
import { EchoService, type SayRequest, type SayResponse } from './fixtures/echo_pb.js';
import { EchoController, startEcho } from './fixtures/echo-app.js';

class TokenGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getContext<CallContext>().header('x-token') === 'open';
  }
}

class ShoutInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    const { method } = context.switchToRpc().getContext<CallContext>();
    if (method.methodKind !== 'unary') return next.handle();
    return next.handle().pipe(map((reply: SayResponse) => ({ ...reply, text: reply.text.toUpperCase() })));
  }
}

class TrimPipe implements PipeTransform {
  transform(value: unknown) {
    const request = value as SayRequest;
    return typeof request?.text === 'string' ? { ...request, text: request.text.trim() } : value;
  }
}

@Catch(TypeError)
class BugFilter implements RpcExceptionFilter<TypeError> {
  catch(_error: TypeError, _host: ArgumentsHost) {
    return throwError(() => new AppError('ABORTED', 'the filter was here'));
  }
}

@UseGuards(TokenGuard)
@UseInterceptors(ShoutInterceptor)
@UsePipes(TrimPipe)
@UseFilters(BugFilter)
@GrpcService(EchoService)
class GuardedController extends EchoController {}

describe('guards, interceptors, pipes and filters', () => {
  it('wrap every handler', async () => {
    const { service, observed } = await startEcho({}, GuardedController);
    const stranger = createClient(EchoService, service.grpcAddress);
    await expect(stranger.say({ text: 'a' })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(observed.calls).toEqual([]);

    const client = createClient(EchoService, service.grpcAddress, { headers: { 'x-token': 'open' } });
    expect((await client.say({ text: '  hi ' })).text).toBe('HI');
    const indexes: number[] = [];
    for await (const { index } of client.watch({ count: 3 })) indexes.push(index);
    expect(indexes).toEqual([0, 1, 2]);
    await expect(client.say({ text: 'bug' })).rejects.toMatchObject({
      code: 'ABORTED',
      message: 'the filter was here',
    });

    stranger.close();
    client.close();
    await service.drain('end of test');
  });
});
