"""Makes rules.json: what tokenizers 0.23.1 does with variants of shapes-tokenizer.json.

Run here as `python make_rules.py`, with tokenizers 0.23.1 installed.
"""
import copy
import json

import tokenizers

BASE = json.load(open("shapes-tokenizer.json"))
QWEN2 = BASE["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(pattern):
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]}


def token(content, **flags):
    entry = {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": False}
    entry.update(flags)
    return entry


GENERAL = ["", "it's IT'S 'sup 'ſ x'ſy 123 \u180e  x  ", "The these  water\n\n \r\n into\t\twas  ", "é e\u0301 \u0301\u0323a\u0323\u0301",
           "日本語 текст ½ Ⅷ 🦜\u200d🦜", "a\u00a0b\u3000c\u2028d\u0085e\u200bf", "x" * 40 + "!" * 40 + " " * 40 + "\n" * 5, "\x00\x1f\x7f",
           "\U000105c0\U00010d40 \U0001e4ec \u0d3c\u0301"]
MARK = ["xABx", "AB", " AB AB", "hello  \n AB \t x", "AB \n  x", "AB AB ", "x\u180e\u2003AB\u3000\u00a0y", "xAB ABx AB_ AB.AB AB-AB ABAB",
        "\u0301AB AB\u0301", "\u00b2AB \u200dAB \u200cAB \u2160AB \u24b6AB", "<|im_end|>AB<|im_end|> AB <|im_end|>", "A B", "ab"]
VARIANTS = [
    {"name": "as it is", "texts": GENERAL + MARK},
    {"name": "lstrip", "added": [token("AB", lstrip=True)], "texts": MARK},
    {"name": "rstrip", "added": [token("AB", rstrip=True)], "texts": MARK},
    {"name": "both strips", "added": [token("AB", lstrip=True, rstrip=True)], "texts": MARK},
    {"name": "single word", "added": [token("AB", single_word=True)], "texts": MARK},
    {"name": "single word and strips", "added": [token("AB", single_word=True, lstrip=True, rstrip=True)], "texts": MARK},
    {"name": "refused token hides another", "added": [token("AB", single_word=True), token("BC"), token("A")],
     "texts": ["ABC", "AB C", "xA AB BC"]},
    {"name": "white space tokens inside rstrip", "added": [token("AB", rstrip=True), token(" "), token(" C", rstrip=True)],
     "texts": ["AB   x", "AB   Cx", "AB C  C  x", "x AB"]},
    {"name": "longest", "added": [token("AB"), token("ABC"), token("BCD", special=True)],
     "texts": ["xABCDx", "ABAB", "xBCDABC", "ABBCDAB"]},
    {"name": "normalized", "added": [token("A\u0301B", normalized=True)],
     "texts": ["xA\u0301Bx", "x\u00c1Bx", "<|im_end|>\u0301 A\u0301B", "A\u0301\u0323B"]},
    {"name": "not normalized", "added": [token("A\u0301B")], "texts": ["xA\u0301Bx", "x\u00c1Bx"]},
    {"name": "raw before normalized", "added": [token("ABCD", normalized=True), token("BC"), token("XY", normalized=True, lstrip=True, rstrip=True)],
     "texts": ["xABCDx", "ABCD", "a XY <|im_end|> XY b"]},
    {"name": "in the vocabulary", "added": [token("the", special=True), token("\u00e9")], "texts": ["xthex", "\u00e9 the"]},
    {"name": "byte letters", "added": [token("\u0120x"), token("\u00e9 \u0120")], "texts": ["a\u0120xb", "x\u00e9 \u0120y"]},
    {"name": "no normalizer", "normalizer": None, "added": [token("A\u0301B", normalized=True)],
     "texts": GENERAL + ["xA\u0301Bx", "x\u00c1Bx"]},
    {"name": "normalizer sequence", "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]}, "texts": GENERAL},
    {"name": "ignore_merges", "ignore_merges": True, "drop_merges": ["the", "m"], "texts": [" water the these them was into", "them"]},
    {"name": "without a merge", "drop_merges": ["the", "m"], "texts": ["them"]},
    {"name": "repeated merge", "repeat_merge": 0, "texts": GENERAL},
    {"name": "GPT-2 pattern", "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, "texts": GENERAL},
    {"name": "ByteLevel alone", "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}, "texts": GENERAL},
    {"name": "cl100k pattern", "pre_tokenizer": split(CL100K), "texts": GENERAL[:-1]},
    {"name": "o200k pattern", "pre_tokenizer": split(O200K), "texts": GENERAL[:-1]},
    {"name": "empty matches", "pre_tokenizer": split("x*"), "texts": ["abxxc", "xx", "the waxxter"]},
    {"name": "look-around", "pre_tokenizer": split("(?=t)|(?<=e)w"), "texts": ["thethewe", "t", "wetew"]},
    {"name": "sets and classes", "pre_tokenizer": split(r"[^\S\r\n]+|[\d.,]+?e|\D\P{Lu}++"), "texts": GENERAL[:-1] + ["1.5e3 2,e ABc"]},
]


def build(variant):
    file = copy.deepcopy(BASE)
    for key in ("normalizer", "pre_tokenizer"):
        if key in variant:
            file[key] = variant[key]
    model = file["model"]
    if "ignore_merges" in variant:
        model["ignore_merges"] = variant["ignore_merges"]
    if "drop_merges" in variant:
        model["merges"].remove(variant["drop_merges"])
    if "repeat_merge" in variant:
        model["merges"].append(model["merges"][variant["repeat_merge"]])
    next_id = len(model["vocab"]) + len(file["added_tokens"])
    for entry in variant.get("added", []):
        known = model["vocab"].get(entry["content"])
        entry["id"] = known if known is not None else next_id
        next_id += known is None
        file["added_tokens"].append(entry)
    return tokenizers.Tokenizer.from_str(json.dumps(file))


def main():
    out = []
    for variant in VARIANTS:
        tokenizer = build(variant)
        cases = []
        for text in variant.pop("texts"):
            ids = tokenizer.encode(text).ids
            cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                          "decoded_skipping": tokenizer.decode(ids, skip_special_tokens=True)})
        added = [[entry["content"], entry["id"], tokenizer.id_to_token(entry["id"])] for entry in variant.get("added", [])]
        out.append({**variant, "vocab_size": tokenizer.get_vocab_size(), "names": added, "cases": cases})
    json.dump({"reference": f"tokenizers {tokenizers.__version__}", "variants": out}, open("rules.json", "w"), indent=0)


main()
