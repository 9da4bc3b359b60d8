"""Tokenizers of Llama 3's and of SmolLM's kind, with what Hugging Face's tokenizers makes of texts.

    python make_golden.py     writes <kind>/tokenizer.json, <kind>/tokenizer_config.json and golden.json beside this script

The vocabularies are learnt from ../model/corpus.txt and are small; everything around them is as in the published files.
llama3: a pattern of its own, ignore_merges, a begin-of-text template. Tokens that no merge makes show ignore_merges.
smollm: every digit alone, then GPT-2's pattern. The vocabulary lacks bytes, as the published one does.
cases: ids of the text alone, special tokens recognised; decoded: the text of the ids, where it is not the text; cuts: UTF-8
bytes of each piece that merges do not cross, special tokens not recognised.
"""

import json
import pathlib
import platform
import random

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# Never in UTF-8; then U+0001, and the first bytes of N'Ko letters and of planes 4 to 15.
LACKING = [0xC0, 0xC1, *range(0xF5, 0x100), 0x01, 0xDF, 0xF1, 0xF2, 0xF3]
UNMERGED = ["ĠCamelot", "Excalibur", "123", "!!!Ċ", "ĠĠĠĊ", "'Ll", "Ã©tÃ©", "æĹ¥æľ¬", "____"]


def byte_chars():
    """Character of each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + i) for i, byte in enumerate(rest)}


def train(pre_tokenizer, vocab_size, special_tokens, lacking=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = [char for byte, char in byte_chars().items() if byte not in lacking]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, special_tokens=special_tokens,
                                  initial_alphabet=alphabet, show_progress=False)
    corpus = (HERE.parent / "model" / "corpus.txt").read_bytes().decode("utf-8")
    tokenizer.train_from_iterator([corpus, "'LL 'RE 'Ve don'T we'D \r\n\r\n \t\t 1234567 !!\n!!\n ...\r\n" * 20], trainer)
    return tokenizer


def llama3():
    pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    value = json.loads(train(pre_tokenizer, 700, []).to_str())
    model = value["model"]
    # Some learnt words, too, cannot be merged any more.
    merges = [merge for i, merge in enumerate(model["merges"]) if len("".join(merge)) < 4 or i % 3 > 0]
    vocab = model["vocab"] | {token: len(model["vocab"]) + i for i, token in enumerate(UNMERGED)}
    value["model"] = model | {"vocab": vocab, "merges": merges, "ignore_merges": True}
    tokenizer = Tokenizer.from_str(json.dumps(value))
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>"]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    bos = "<|begin_of_text|>"
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{bos}:0 $A:0", pair=f"{bos}:0 $A:0 {bos}:1 $B:1",
                                      special_tokens=[(bos, tokenizer.token_to_id(bos))]),
    ])
    return tokenizer, {"bos_token": bos, "eos_token": "<|end_of_text|>"}


def smollm():
    pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer = train(pre_tokenizer, 640, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], LACKING)
    return tokenizer, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def texts(specials):
    fixed = ["", " ", "\n", "\r\n", "\r", "\t", "   ", "  x", "x  ", " \n", "\n ", " \r\n \r\n x", "x \n\n y", "a\t\tb", "\t\n\t\n\tx",
             "    four\n        eight", "I'm we've they'll don't it's you're he'd", "I'M WE'VE THEY'LL DON'T IT'S YOU'RE HE'D",
             "'Re 'rE 'vE 'Ve 'Ll 'lL 'Sx 'sx 'tis 'Twas 'dx 'Mx", "'\u017f 'st\u017f '\u017fx", "a'sb a'Sb a'tb a'Tb a'reb a'REb a'rEb a'Reb a'veb a'VEb a'mb a'Mb a'llb a'LLb a'Llb a'db a'Db a'\u017fb a'xb",
             "''s '' 's' ll' l'l 'l 'r 'v", "\u2019s \u2019ll don\u2019t",
             " 's", "x's 1's .'s", "1 12 123 1234 12345 123456 1234567", "a1b22c333d4444e", " 1  2   3", "x 1\ty 2\n3", "  1", " \n1", "1 \n",
             "\u0663\u0664\u0665\u0666 \u00bd\u00be\u00b2 \u2163\u2167 \u4e09", "1.5 -2,000.00 0xFF 3e-7", "e\u0301t\u00e9 na\u00efve Stra\u00dfe \u00c9T\u00c9 \u00e9t\u00e9", "\u65e5\u672c \u4f60\u597d\uff0c\u4e16\u754c\u3002\n\u4eca\u5929",
             "\u0930\u094d\u0926\u0940 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u043f\u0440\u0438\u0432\u0435\u0442", "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f389\U0001f389party \U0001f389", "!!!\n", "!!!\n\nx", "...\r\n\r\n...", "?!  ?!\n ?!",
             "-->\n<!-- x", "x=1;//y\n\n\n", "(\n)\n", " .\n .\r", "$\u20ac\u00a3 #@! ____", "\u00a0nbsp\u00a0\u00a0x", "\u3000\u3000x\u3000", "a\u0085b \u0085\n\u0085", "\u2028\u2029 \u2028x",
             "\ufeffbom\ufeff", "\x00\x01\x7f", "!\x01!\x01! x\x01y", "a\u07cab \u07ca\u07cb\u07cc", "\U00100000 \U000f0000x", "x" * 80, " " * 40 + "x", "\n" * 20 + "x", "ab " * 30,
             "Excalibur Camelot, Camelot! xCamelot 123 Excaliburs", "   \n!!!\n", "'Ll 'LL 'll", "the king and the queen of France, together",
             "".join(specials), f"a{specials[0]}b {specials[1]} c", f"{specials[0]}{specials[0]}hello", f"{specials[1][:-1]} {specials[1][1:]}"]
    rng = random.Random(7)
    pieces = ["'s", "'LL", "'Ve", "'", " ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u3000", "1", "23", "4567", "\u0664", "the", " Duke", "OF", "\u00e9", "\u00df", "\u4e16\u754c",
              "\u043f\u0440\u0438", "\u094d", "\U0001f389", "!", "...", "--", "_", " (", "\u201d", "\u00bd", "\u07ca", "\x01"]
    mixed = ["".join(rng.choices(pieces, k=rng.randint(2, 14))) for _ in range(110)]
    return fixed + mixed


def main():
    out = {"versions": {"python": platform.python_version(), "tokenizers": tokenizers.__version__}, "kinds": {}}
    for kind, make in {"llama3": llama3, "smollm": smollm}.items():
        tokenizer, config = make()
        folder = HERE / kind
        folder.mkdir(exist_ok=True)
        folder.joinpath("tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), separators=(",", ":")) + "\n")
        folder.joinpath("tokenizer_config.json").write_text(json.dumps(config) + "\n")
        specials = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        cases = []
        for text in texts(specials):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            decoded = tokenizer.decode(ids, skip_special_tokens=False)
            cuts = [len(piece) for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
            cases.append({"text": text, "ids": ids, "cuts": cuts, **({} if decoded == text else {"decoded": decoded})})
        # What is put before a text: the same whatever the text is.
        before = tokenizer.encode("x").ids[:-1]
        out["kinds"][kind] = {"specials": specials, "before": before, "cases": cases}
    (HERE / "golden.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


main()
