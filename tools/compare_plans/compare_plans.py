#!/usr/bin/env python3
"""Plans of one size by different criteria, and weight algorithms, on data that no plan has seen.

    tools/compare_plans/compare_plans.py --qvl build/release/qvl --model build/demo --work build/plans \
        --calibration tests/data/shapes-data/calibration.jsonl --evaluation tests/data/shapes-data/evaluation.jsonl

Draws halves of the calibration chats; measures the sensitivities on each, makes a plan by each criterion at one size, writes
the quantized folders and evaluates all of them on the evaluation chats. Prints Markdown. Needs Python 3.9, nothing else.
What is there in the work folder already is not done again.
"""

import argparse
import json
import math
import pathlib
import random
import subprocess

FORMATS = "int8,int8:32,int4:16,int4:32,int4:64,int4:128"
CRITERIA = {"kl": "kl", "weight-mse": "weight-mse", "nncf": "nncf-mean-variance", "random": "random"}


class Comparison:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(options.work)
        self.work.mkdir(parents=True, exist_ok=True)

    def qvl(self, *arguments):
        command = [self.options.qvl, *map(str, arguments)]
        print("$", " ".join(command), flush=True)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"exit code {done.returncode}: {done.stderr}")
        return done.stdout

    def half(self, number):
        """A file with half of the calibration chats; pictures by their whole paths."""
        source = pathlib.Path(self.options.calibration).resolve()
        lines = source.read_text().splitlines()
        chosen = sorted(random.Random(number).sample(range(len(lines)), len(lines) // 2))
        target = self.work / f"half-{number}.jsonl"
        with target.open("w") as out:
            for index in chosen:
                row = json.loads(lines[index])
                for message in row["messages"]:
                    for part in message["content"] if isinstance(message["content"], list) else []:
                        if part.get("type") == "image":
                            part["image"] = str(source.parent / part["image"])
                out.write(json.dumps(row) + "\n")
        return target

    def plan(self, data, number, criterion, size):
        report = self.work / f"report-{criterion}-{number}"
        plan = self.work / f"plan-{criterion}-{number}.json"
        if not plan.exists():
            method = ["--method", "exact"] if criterion == "kl" else []
            self.qvl("sensitivity", self.options.model, "--data", data, "--formats", FORMATS, "--criterion",
                     CRITERIA[criterion], *method, "--out", report, "--quiet")
            self.qvl("plan", report, "--budget", size, "--out", plan, "--quiet")
        return plan

    def quantize(self, name, *arguments):
        folder = self.work / name
        if not folder.exists():
            self.qvl("quantize", self.options.model, "--out", folder, "--quiet", *arguments)
        return folder

    def with_algorithm(self, plan, algorithm):
        changed = json.loads(plan.read_text())
        for entry in changed["units"]:
            if entry["format"] != "keep":
                entry["algorithm"] = algorithm
        target = plan.with_name(plan.stem + f"-{algorithm}.json")
        target.write_text(json.dumps(changed))
        return target

    def uniform(self):
        """5 bits a weight everywhere: scales take 4 bytes in the f32 vision encoder, 2 in the f16 decoder."""
        plan = self.work / "plan-uniform.json"
        plan.write_text(json.dumps({"format": 1, "units": [
            {"name": "*", "format": "int4:16"}, {"name": "/visual*", "format": "int4:32"},
            {"name": "*lm_head*", "format": "keep"}]}))
        return plan

    def evaluate(self, name, folders, answers):
        result = self.work / f"{name}.json"
        if not result.exists():
            more = [] if answers else ["--no-answers"]
            result.write_text(self.qvl("evaluate", self.options.model, *folders, "--data", self.options.evaluation,
                                       "--json", "--quiet", *more))
        rows = json.loads(result.read_text())["folders"]
        return {pathlib.Path(row["folder"]).name: row for row in rows}

    def run(self):
        rows = {}
        chosen = []
        for number in range(1, self.options.halves + 1):
            data = self.half(number)
            folders = {"uniform int4:16 / int4:32": self.quantize("uniform", "--plan", self.uniform())}
            kl = self.plan(data, number, "kl", "bits=5")
            size = f"bytes={json.loads(kl.read_text())['record']['bytes']}"
            for criterion in CRITERIA:
                plan = kl if criterion == "kl" else self.plan(data, number, criterion, size)
                folders[criterion] = self.quantize(f"q-{criterion}-{number}", "--plan", plan)
            for algorithm in ("least-squares", "gptq"):
                folders[f"kl, {algorithm}"] = self.quantize(
                    f"q-kl-{algorithm}-{number}", "--plan", self.with_algorithm(kl, algorithm), "--data", data)
            found = self.evaluate(f"evaluation-{number}", folders.values(), False)
            for name, folder in folders.items():
                rows.setdefault(name, []).append(found[folder.name])
            chosen.append(folders["kl"])
        self.print_plans(rows)
        self.print_answers(self.evaluate("answers", chosen, True))
        self.print_algorithms()

    def print_plans(self, rows):
        print("\n| plan of 5 bits a weight | bytes of the folder | KL, mean over the halves | standard error over the halves | "
              "each half (standard error over positions) | top 1 |")
        print("|---|--:|--:|--:|---|--:|")
        for name, found in sorted(rows.items(), key=lambda row: sum(r["kl"] for r in row[1])):
            values = [row["kl"] for row in found]
            mean = sum(values) / len(values)
            spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1) / len(values))
            each = ", ".join(f"{row['kl']:.2e} ({row['kl_stderr']:.1e})" for row in found)
            top1 = sum(row["top1"] for row in found) / len(found)
            size = sum(row["bytes"] for row in found) / len(found)
            print(f"| {name} | {size:,.0f} | {mean:.2e} | {spread:.1e} | {each} | {top1:.2%} |", flush=True)

    def print_answers(self, found):
        print("\n| folder | exact answers | the reference's very tokens | KL |")
        print("|---|--:|--:|--:|")
        for name, row in found.items():
            same = "" if row["same"] is None else row["same"]
            kl = "" if row["kl"] is None else f"{row['kl']:.2e}"
            print(f"| {name} | {row['exact']} | {same} | {kl} |", flush=True)

    def print_algorithms(self):
        folders = {}
        for form in ("int4:32", "int4:128", "int8"):
            for algorithm in ("nearest", "least-squares", "gptq"):
                data = [] if algorithm == "nearest" else ["--data", self.options.calibration]
                folders[form, algorithm] = self.quantize(
                    f"a-{form.replace(':', '-')}-{algorithm}", "--format", form, "--units", "*,!*lm_head*", "--algorithm", algorithm, *data)
        for form in ("int8-dynamic", "int8-static"):
            for smooth in ("", "0.5", "auto"):
                more = ["--smooth", smooth] if smooth else []
                folders[form, f"smoothing {smooth or 'none'}"] = self.quantize(
                    f"a-{form}-{smooth or 'none'}", "--format", form, "--units", "*,!*lm_head*", "--data", self.options.calibration, *more)
        found = self.evaluate("evaluation-algorithms", folders.values(), False)
        print("\n| format | algorithm | KL | standard error | top 1 |")
        print("|---|---|--:|--:|--:|")
        for (form, algorithm), folder in folders.items():
            row = found[folder.name]
            print(f"| {form} | {algorithm} | {row['kl']:.2e} | {row['kl_stderr']:.1e} | {row['top1']:.2%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("qvl", "model", "calibration", "evaluation", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--halves", type=int, default=3)
    Comparison(parser.parse_args()).run()


if __name__ == "__main__":
    main()
