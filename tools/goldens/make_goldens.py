#!/usr/bin/env python3
"""Runs a Qwen2.5-VL checkpoint in Hugging Face transformers and writes what it computes, stage by stage, to
one safetensors file, for `qvl verify FOLDER --goldens FILE`. The format is described in docs/goldens.md.

qvl itself never runs this: it is for those who have torch, transformers (4.50 or newer), safetensors and
Pillow at hand.

Example:
  python tools/goldens/make_goldens.py Qwen2.5-VL-3B-Instruct --out goldens.safetensors \\
      --picture photo.jpg --prompt "What is in this picture?"
"""

import argparse
import hashlib
import inspect
import json
import shlex
import struct
import sys
from pathlib import Path

LAST_LOGITS = 4  # positions at the end of the prompt whose logits are kept
SAMPLE_BYTES = 4096  # of each tensor, for the fingerprint


class Failure(Exception):
    """What the user can do something about; printed without a traceback."""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="folder as on the Hugging Face hub")
    parser.add_argument("--out", required=True, type=Path, help="safetensors file to write")
    parser.add_argument("--picture", action="append", default=[], type=Path, metavar="FILE",
                        help="picture; repeat it for several. Each is asked every prompt, in a case of its own")
    parser.add_argument("--prompt", action="append", default=[], metavar="TEXT",
                        help='repeat it for several (default: "Describe the image." with pictures, else a sentence)')
    parser.add_argument("--image-size", default="672", metavar="SIDE|WIDTHxHEIGHT",
                        help="what the vision artifact was exported for (default 672)")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"],
                        help="what the reference computes in (default float32)")
    parser.add_argument("--rows", default=64, type=int,
                        help="rows of the hidden states that are kept of each block and layer (default 64)")
    parser.add_argument("--max-new-tokens", default=24, type=int, help="of the greedy answers (default 24; 0: none)")
    arguments = parser.parse_args()
    try:
        sides = [int(side) for side in arguments.image_size.split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) <= 0:
        parser.error(f"--image-size {arguments.image_size}: a side in pixels (672) or WIDTHxHEIGHT is expected")
    arguments.width, arguments.height = sides[0], sides[-1]
    if arguments.rows < 1 or arguments.max_new_tokens < 0:
        parser.error("--rows must be 1 or more, --max-new-tokens 0 or more")
    # The batch has a row of the last prompt without its last character.
    for prompt in arguments.prompt:
        if len(prompt) < 2:
            parser.error(f"--prompt {json.dumps(prompt)}: two characters or more are expected")
    return arguments


# --- the checkpoint --------------------------------------------------------------------------------------------------


def canonical(name):
    for saved, hub in (("model.language_model.", "model."), ("model.visual.", "visual.")):
        if name.startswith(saved):
            return hub + name[len(saved):]
    return name


def fingerprint(folder):
    """qvl's: SHA-256 over every tensor's name, dtype, shape and first 4096 bytes, in the order of the names."""
    single = folder / "model.safetensors"
    index = folder / "model.safetensors.index.json"
    if single.is_file():
        wanted = {single.name: None}
    elif index.is_file():
        wanted = {}
        for name, shard in json.loads(index.read_text(encoding="utf-8"))["weight_map"].items():
            wanted.setdefault(shard, set()).add(name)
    else:
        raise Failure(f"neither model.safetensors nor an index of shards in {folder}")
    tensors = {}
    for shard, names in wanted.items():
        with open(folder / shard, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            for name, entry in header.items():
                if names is not None and name not in names:
                    continue
                begin, end = entry["data_offsets"]
                file.seek(8 + length + begin)
                sample = file.read(min(SAMPLE_BYTES, end - begin))
                tensors[canonical(name)] = (entry["dtype"], entry["shape"], sample)
    sha = hashlib.sha256()
    for name in sorted(tensors):
        dtype, shape, sample = tensors[name]
        sha.update(f"{name} {dtype} [{', '.join(str(size) for size in shape)}]\n".encode())
        sha.update(sample)
    return sha.hexdigest()


def load_model(arguments):
    import torch
    import transformers

    kind = getattr(transformers, "Qwen2_5_VLForConditionalGeneration", None)
    if kind is None:
        raise Failure(f"transformers {transformers.__version__} has no Qwen2.5-VL; 4.50 or newer is needed")
    dtype = getattr(torch, arguments.dtype)
    old = tuple(int(part) for part in transformers.__version__.split(".")[:2]) < (4, 56)
    try:
        model = kind.from_pretrained(arguments.checkpoint, attn_implementation="eager",
                                     **{"torch_dtype" if old else "dtype": dtype})
    except (OSError, ValueError) as error:
        raise Failure(f"cannot load {arguments.checkpoint}: {error}") from error
    return model.eval()


def modules_of(model):
    """The vision encoder and the language model, wherever this version of transformers keeps them."""
    visual = getattr(model.model, "visual", None)
    if visual is None:
        visual = model.visual
    language = getattr(model.model, "language_model", None)
    if language is None:
        language = model.model
    return visual, language


# --- prompts and pictures --------------------------------------------------------------------------------------------


def chat_template(folder):
    """The checkpoint's own; None where it has none."""
    jinja = folder / "chat_template.jinja"
    if jinja.is_file():
        return jinja.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            template = json.loads((folder / name).read_text(encoding="utf-8")).get("chat_template")
            if isinstance(template, str):
                return template
    return None


def render(folder, messages):
    template = chat_template(folder)
    if template is not None:
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False,
                                             add_generation_prompt=True)
    # What the template of the published checkpoints writes for such messages.
    text = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    for message in messages:
        text += f"<|im_start|>{message['role']}\n"
        for part in message["content"]:
            text += part["text"] if part["type"] == "text" else "<|vision_start|><|image_pad|><|vision_end|>"
        text += "<|im_end|>\n"
    return text + "<|im_start|>assistant\n"


def read_picture(path):
    from PIL import Image, ImageOps

    try:
        return ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except OSError as error:
        raise Failure(f"cannot read the picture {path}: {error}") from error


def image_processor(folder):
    """The one that works on Pillow pictures and numpy, which is the reference for the pixels' numbers."""
    try:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil as Processor
    except ImportError:
        from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor as Processor
    return Processor.from_pretrained(folder)


def planar(patches, grid, vision):
    """Patches [n, channels x frames x size^2] of one picture, in merge-block order, as [1, channels, height, width]."""
    _, rows, columns = (int(size) for size in grid)
    merge, size, frames = vision.spatial_merge_size, vision.patch_size, vision.temporal_patch_size
    blocks = patches.reshape(rows // merge, columns // merge, merge, merge, -1, frames, size, size)
    frame = blocks[:, :, :, :, :, 0]  # a picture is every frame of its patches
    return frame.permute(4, 0, 2, 5, 1, 3, 6).reshape(1, -1, rows * size, columns * size).contiguous()


# --- what the model computes -----------------------------------------------------------------------------------------


def spread(count, wanted):
    """`wanted` numbers of 0 … count - 1, evenly spread, the first and the last among them."""
    if wanted >= count:
        return list(range(count))
    return sorted({round(i * (count - 1) / max(1, wanted - 1)) for i in range(wanted)})


class Recorder:
    """Rows of the hidden states that pass the hooked modules, while it is open."""

    def __init__(self, model, vision_rows, text_rows):
        self.tensors = {}
        self.handles = []
        visual, language = modules_of(model)
        self.watch(visual.blocks, "vision.patch_embed", "vision.blocks.{}", vision_rows)
        self.watch(language.layers, "text.embeddings", "text.layers.{}", text_rows)

    def watch(self, modules, before, after, rows):
        if rows is None:
            return
        self.handles.append(modules[0].register_forward_pre_hook(
            lambda module, args, kwargs: self.keep(before, args[0] if args else kwargs["hidden_states"], rows),
            with_kwargs=True))
        for i, module in enumerate(modules):
            self.handles.append(module.register_forward_hook(
                lambda module, args, output, name=after.format(i): self.keep(name, output, rows)))

    def keep(self, name, output, rows):
        states = output[0] if isinstance(output, tuple) else output
        self.tensors[name] = states.detach().reshape(-1, states.shape[-1])[rows].float().clone()

    def close(self):
        for handle in self.handles:
            handle.remove()


def accepted(function, arguments):
    """Those of the arguments that this version's function takes and that are there."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in arguments.items() if name in names and value is not None}


def positions(model, inputs):
    owner = model if hasattr(model, "get_rope_index") else model.model
    found, _ = owner.get_rope_index(**accepted(owner.get_rope_index, inputs))
    return found


def features_of(output):
    """The rows of image features, however this version wraps them."""
    import torch

    output = getattr(output, "pooler_output", output)
    return output if isinstance(output, torch.Tensor) else torch.cat(list(output), dim=0)


def run_case(model, inputs, arguments, eos):
    """Tensors of one case, by the names of docs/goldens.md without the case's."""
    import torch

    tensors = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    visual, _ = modules_of(model)
    vision_rows = None
    if "pixel_values" in inputs:
        vision_rows = torch.tensor(spread(int(inputs["image_grid_thw"][0].prod()), arguments.rows))
        tensors["vision.rows"] = vision_rows
    at_tokens = inputs["attention_mask"].reshape(-1).nonzero().reshape(-1)
    text_rows = at_tokens[spread(len(at_tokens), arguments.rows)]
    tensors["text.rows"] = text_rows
    tensors["position_ids"] = positions(model, inputs)
    recorder = Recorder(model, vision_rows, text_rows)
    with torch.no_grad():
        output = model(**accepted(model.forward, {**inputs, "position_ids": tensors["position_ids"],
                                                  "use_cache": False}))
    recorder.close()
    tensors.update(recorder.tensors)
    tensors["logits"] = output.logits[:, -LAST_LOGITS:].float()
    if "pixel_values" in inputs:
        with torch.no_grad():
            features = visual(inputs["pixel_values"].to(visual.dtype), grid_thw=inputs["image_grid_thw"])
        tensors["vision_features"] = features_of(features).float()
    if arguments.max_new_tokens > 0 and inputs["input_ids"].shape[0] == 1:
        tensors.update(greedy(model, inputs, arguments, eos))
    return tensors


def greedy(model, inputs, arguments, eos):
    import torch
    from transformers import GenerationConfig

    # Not the checkpoint's own settings: sampling and penalties have no place here. They must go from the model, too,
    # which puts them in place of what is at its default in a config given to generate().
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=arguments.max_new_tokens,
                                               eos_token_id=eos, pad_token_id=eos[0], return_dict_in_generate=True,
                                               output_logits=True)
    with torch.no_grad():
        output = model.generate(**accepted(model.forward, inputs))
    count = len(output.logits)
    gaps = []
    for logits in output.logits:
        best, second = logits[0].float().topk(2).values.tolist()
        gaps.append(best - second)
    return {"greedy_ids": output.sequences[0, -count:], "greedy_gaps": torch.tensor(gaps)}


# --- the cases -------------------------------------------------------------------------------------------------------


class Cases:
    def __init__(self, model, arguments):
        from tokenizers import Tokenizer

        self.model = model
        self.arguments = arguments
        self.tokenizer = Tokenizer.from_file(str(arguments.checkpoint / "tokenizer.json"))
        self.processor = None
        self.list = []
        self.tensors = {}
        self.eos = model.generation_config.eos_token_id
        if isinstance(self.eos, int):
            self.eos = [self.eos]
        if not self.eos:
            raise Failure("neither generation_config.json nor config.json names an eos_token_id")

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def run(self, case, inputs, more=None):
        print(f"{case['name']}: {inputs['input_ids'].shape[0]} x {inputs['input_ids'].shape[1]} tokens", file=sys.stderr)
        self.list.append(case)
        tensors = {**(more or {}), **run_case(self.model, inputs, self.arguments, self.eos)}
        for name, tensor in tensors.items():
            self.tensors[f"{case['name']}.{name}"] = tensor.contiguous()

    def inputs_of(self, rows):
        """Input tensors of rows of ids, padded on the left."""
        import torch

        length = max(len(row) for row in rows)
        ids = torch.full((len(rows), length), self.eos[0], dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, length - len(row):] = torch.tensor(row)
            mask[i, length - len(row):] = 1
        image_token = self.model.config.image_token_id
        return {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": (ids == image_token).long() * mask}

    def add_text(self, name, prompt):
        messages = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
        self.run({"name": name, "kind": "text", "messages": messages},
                 self.inputs_of([self.encode(render(self.arguments.checkpoint, messages))]))

    def add_batch(self, name, texts):
        self.run({"name": name, "kind": "text", "text": texts}, self.inputs_of([self.encode(text) for text in texts]))

    def add_picture(self, name, path, prompt):
        import numpy
        import torch
        from PIL import Image

        arguments = self.arguments
        if self.processor is None:
            self.processor = image_processor(arguments.checkpoint)
        picture = read_picture(path)
        resized = picture.resize((arguments.width, arguments.height), Image.Resampling.BICUBIC)
        processed = self.processor.preprocess([resized], do_resize=False, return_tensors="pt")
        vision = self.model.config.vision_config
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
        image_token = self.model.config.image_token_id
        tokens = int(processed["image_grid_thw"][0].prod()) // vision.spatial_merge_size**2
        ids = []
        for token in self.encode(render(arguments.checkpoint, messages)):
            ids += [token] * tokens if token == image_token else [token]
        inputs = {**self.inputs_of([ids]), "pixel_values": processed["pixel_values"],
                  "image_grid_thw": processed["image_grid_thw"]}
        self.run({"name": name, "kind": "image", "messages": messages}, inputs, {
            "picture": torch.from_numpy(numpy.array(picture)),
            "resized": torch.from_numpy(numpy.array(resized)),
            "pixel_values": planar(processed["pixel_values"].float(), processed["image_grid_thw"][0], vision)})


def provenance():
    import PIL
    import torch
    import transformers

    return (f"transformers {transformers.__version__}, torch {torch.__version__}, Pillow {PIL.__version__}: "
            f"make_goldens.py {' '.join(shlex.quote(argument) for argument in sys.argv[1:])}")


def make(arguments):
    if not (arguments.checkpoint / "config.json").is_file():
        raise Failure(f"no config.json in {arguments.checkpoint}; a checkpoint folder is expected")
    for needed in ("torch", "transformers", "safetensors", "tokenizers", "PIL"):
        try:
            __import__(needed)
        except ImportError as error:
            raise Failure(f"{error}; torch, transformers (4.50 or newer), safetensors and Pillow are needed") from error
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Before the minutes that a large model takes.
    if not arguments.out.absolute().parent.is_dir():
        raise Failure(f"the folder of --out {arguments.out} does not exist")
    for picture in arguments.picture:
        read_picture(picture)
    model = load_model(arguments)
    vision = model.config.vision_config
    unit = vision.patch_size * vision.spatial_merge_size
    if arguments.width % unit or arguments.height % unit:
        raise Failure(f"--image-size {arguments.image_size}: both sides must be multiples of {unit}")
    cases = Cases(model, arguments)
    prompts = arguments.prompt or ["Describe the image." if arguments.picture else "What can you see at night?"]
    for p, picture in enumerate(arguments.picture):
        for q, prompt in enumerate(prompts):
            cases.add_picture(f"image_{p}_{q}", picture, prompt)
    for q, prompt in enumerate(prompts):
        cases.add_text(f"text_{q}", prompt)
    # Rows of different lengths: the padding must not matter.
    cases.add_batch("batch", [prompts[0], prompts[0] + " " + prompts[-1], prompts[-1][:-1]])
    metadata = {"format": "qvl-goldens-1", "provenance": provenance(),
                "fingerprint": fingerprint(arguments.checkpoint), "dtype": arguments.dtype,
                "image_size": f"{arguments.width}x{arguments.height}", "cases": json.dumps(cases.list)}
    temporary = arguments.out.with_name(arguments.out.name + ".part")
    try:
        save_file(cases.tensors, temporary, metadata=metadata)
        temporary.replace(arguments.out)
    except (OSError, SafetensorError) as error:
        raise Failure(f"cannot write {arguments.out}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def main():
    arguments = parse_arguments()
    try:
        make(arguments)
    except Failure as failure:
        sys.exit(f"make_goldens: {failure}")


if __name__ == "__main__":
    main()
