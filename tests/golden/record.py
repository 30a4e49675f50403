"""Record what this version of the library answers, for test_golden.py to compare with.

    python tests/golden/record.py

This was run once, before a large change of structure that must not change a number. It makes models with weights that
are not zero, and short fits of tables, writes their files into flows, sound, tables and commands beside this program,
and beside each its questions and answers. To run it again replaces the memory of how things were by how they are: do
that only when numbers are meant to change, and say why. For the record of one part alone, name it:

    python tests/golden/record.py flows sound tables commands

The folder formats holds a model of a table of each later format, by a version that wrote it: after a change of the
format, `python tests/golden/record.py formats` adds one of the new format, and leaves the others.

All but `small_recipes` uses the public interface; the names that a renaming may touch are in answers.py.
"""

import contextlib
import dataclasses
import json
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

# As a program, not a test, it has yet to find the helpers of the tests.
sys.path.append(str(Path(__file__).resolve().parent.parent))

import answers as golden
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from catalogue import randomize
from cli.known import NAMES, make_kinds, make_rows

import pushforward as pf
from pushforward.store.formats import FORMAT
from pushforward.tables import to_table

D, C, ROWS = 3, 2, 6
SMALL = {"layers": 2, "hidden": (16, 16)}
SPLINE = {**SMALL, "bins": 4, "bound": 3.0}
DEEP = {"layers": 2, "hidden": (16, 16, 16), "residual": True}


def generator(seed):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def data(features=D, count=300):
    """Skewed columns in units of their own."""
    noise = normal(count, features, seed=11)
    return torch.stack([5 + noise[:, 0], 100 * noise[:, 1].exp(), noise[:, 2].sinh() + noise[:, 0]][:features], 1)


def zoo():
    """{name: flow}, small and random, of every architecture and option."""
    plain = {
        "planar": (pf.planar, {"layers": 3, "hidden": (16,)}),
        "planar_leaky_relu": (pf.planar, {"layers": 3, "hidden": (16,), "activation": "leaky_relu"}),
        "radial": (pf.radial, {"layers": 3, "hidden": (16,)}),
        "sylvester": (pf.sylvester, {"layers": 2, "hidden": (16,)}),
        "sylvester_rank_2": (pf.sylvester, {"layers": 2, "rank": 2, "hidden": (16,)}),
        "nice": (pf.nice, {**SMALL, "layers": 3}),
        "realnvp": (pf.realnvp, SMALL),
        "realnvp_residual_without_actnorm": (pf.realnvp, {**DEEP, "actnorm": False, "activation": "gelu"}),
        "maf": (pf.maf, {**SMALL, "dropout": 0.1}),
        "maf_same_order": (pf.maf, {**SMALL, "order": "same", "activation": "silu"}),
        "maf_residual": (pf.maf, DEEP),
        "iaf": (pf.iaf, {**SMALL, "activation": "tanh"}),
        "iaf_chosen_order": (pf.iaf, {**SMALL, "order": (2, 0, 1)}),
        "nsf_autoregressive": (pf.nsf, SPLINE),
        "nsf_inverse_autoregressive": (pf.nsf, {**SPLINE, "kind": "inverse_autoregressive"}),
        "nsf_coupling": (pf.nsf, {**SPLINE, "kind": "coupling"}),
        "nsf_lu": (pf.nsf, {**SPLINE, "linear": "lu"}),
        "nsf_householder": (pf.nsf, {**SPLINE, "linear": "householder", "kind": "coupling"}),
        "nsf_linear_tails": (pf.nsf, {**SPLINE, "tails": "linear"}),
        "nsf_coupling_linear_tails": (pf.nsf, {**SPLINE, "tails": "linear", "kind": "coupling", "linear": "lu"}),
        "nsf_residual_same_order": (pf.nsf, {**SPLINE, **DEEP, "order": "same"}),
        "nsf_inverse_same_order": (pf.nsf, {**SPLINE, "kind": "inverse_autoregressive", "order": "same"}),
        "mixture_cdf_autoregressive": (pf.mixture_cdf, {**SMALL, "components": 3}),
        "mixture_cdf_coupling": (pf.mixture_cdf, {**SMALL, "components": 3, "kind": "coupling"}),
        "mixture_cdf_residual": (pf.mixture_cdf, {**DEEP, "layers": 1, "components": 2}),
        **{f"maf_{base}": (pf.maf, {**SMALL, "layers": 1, "base": base}) for base in BASES},
        "nsf_uniform": (pf.nsf, {**SPLINE, "base": "uniform"}),
        "nsf_student_t": (pf.nsf, {**SPLINE, "tails": "linear", "base": "student_t"}),
        "nice_mixture": (pf.nice, {**SMALL, "base": "mixture"}),
        golden.CONSTRAINED: (pf.maf, SMALL),
    }
    without_context = {"planar_leaky_relu", "sylvester_rank_2", "nsf_uniform", "nsf_student_t", "nice_mixture"}
    without_context |= {f"maf_{base}" for base in BASES} | {golden.CONSTRAINED, "mixture_cdf_residual"}
    made = {}
    for name, (make, options) in plain.items():
        made[name] = random(make(D, **options))
        if name not in without_context:
            made[f"{name}_given"] = random(make(D, context=C, **options))
    x, context = data(), 3 + 2 * normal(300, C, seed=12)
    bounds = {"low": [-np.inf, 0.0, -np.inf], "high": [np.inf, np.inf, 1e4]}
    weights = 0.1 + normal(300, seed=13).abs()
    made |= {
        "standardized": pf.standardized(random(pf.realnvp(D, **SMALL)), x),
        "standardized_float32": pf.standardized(random(pf.maf(D, **SMALL)), x.float()),
        "standardized_given": pf.standardized(random(pf.maf(D, context=C, **SMALL)), x, context),
        "gaussianized": pf.gaussianized(random(pf.nsf(D, **SPLINE)), x, knots=8),
        "gaussianized_float32": pf.gaussianized(random(pf.nsf(D, **SPLINE)), x.float(), knots=8),
        "gaussianized_bounded": pf.gaussianized(random(pf.nsf(D, **SPLINE)), x, knots=6, **bounds),
        "gaussianized_given": pf.gaussianized(random(pf.nsf(D, context=C, **SPLINE)), x, context, knots=8),
        "gaussianized_weighted": pf.gaussianized(random(pf.maf(D, **SMALL)), x, knots=8, normal=[0], weights=weights),
    }
    return made


BASES = ("logistic", "uniform", "student_t", "mixture")


def random(flow):
    return randomize(flow, seed=1, scale=0.25)


def record_flows(folder):
    for name, flow in zoo().items():
        path = folder / f"{name}.safetensors"
        pf.save(flow.eval(), path)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            context = normal(ROWS, C, seed=3) if flow.context_features else None
            flow = pf.load(path).double()
            z = normal(ROWS, D, seed=2)
            if "uniform" in name:
                z = torch.rand(ROWS, D, generator=generator(2), dtype=torch.float64)
            if name == golden.CONSTRAINED:
                flow = golden.constrained(flow, [golden.constraints.positive, (golden.constraints.simplex, 3)])
            x = flow.sample(ROWS if context is None else (), context)
            if not any(word in name for word in ("uniform", "ized", golden.CONSTRAINED)):
                # Half of them no draws, and some far out.
                x[::2] = 2 * normal(ROWS, D, seed=4)[::2]
        questions = {"x": x.numpy(), "z": z.numpy()} | ({} if context is None else {"context": context.numpy()})
        write(path, golden.flow_answers, questions)


def write(path, answer, questions):
    """Questions and answers of a flow or a model of sound, beside its file."""
    groups = {"questions": questions}
    mixed = len({tensor.dtype for tensor in pf.load(path).state_dict().values() if tensor.is_floating_point()}) > 1
    for precision in golden.PRECISIONS if mixed else ("float64", "float32"):
        groups[precision] = answer(path, questions, precision)
        for name, values in groups[precision].items():
            assert np.isfinite(values).all(), (path.stem, precision, name)
    golden.save_arrays(path.with_suffix(".npz"), groups)


def record_sound(folder):
    sizes = {"channels": 5, "skip_channels": 4, "layers": 3, "scale": 0.3}
    contexts = {"": {}, "_class": {"context": 3}, "_frames": {"context": 3, "hop": 7}}
    heads = {"gaussian": {}, "mixture": {"head": "logistic_mixture", "components": 3}}
    families = {
        "affine": {},
        "relative_affine": {"univariate": "relative_affine"},
        "logistic": {"base": "logistic"},
        "spline": {"univariate": "spline", "bins": 4},
    }
    for kind, context_options in contexts.items():
        models = {f"wavenet_{name}": pf.wavenet(stacks=2, **sizes, **o, **context_options) for name, o in heads.items()}
        models |= {
            f"parallel_wavenet_{name}": pf.parallel_wavenet(stacks=1, **sizes, **o, **context_options)
            for name, o in families.items()
            if not kind or name == "spline"
        }
        small = {key: value for key, value in sizes.items() if key != "scale"}
        options = {"architecture": "adaptive_wavenet", "order": 3, "spans": [2.0, 8.0], "stacks": 1}
        models["adaptive_wavenet"] = pf.build({**options, **small, **context_options})
        options = {"architecture": "predictive_parallel_wavenet", "order": 3, "flows": 2}
        models["predictive_parallel_wavenet"] = pf.build({**options, **sizes, **context_options})
        for name, model in models.items():
            path = folder / f"{name}{kind}.safetensors"
            for key, buffer in model.named_buffers():
                if key.endswith("coefficients"):
                    buffer.copy_(torch.tensor([0.5, -0.2, 0.1]))
            pf.save(randomize(model, seed=1, scale=0.25), path)
            questions = {"x": 0.3 * normal(2, 14, seed=2).numpy()}
            if "parallel" in name:
                questions["z"] = normal(2, 14, seed=4).numpy()
            if kind:
                questions["context"] = normal(*((2, 3) if kind == "_class" else (2, 2, 3)), seed=3).numpy()
            write(path, golden.sound_answers, questions)


@contextlib.contextmanager
def small_recipes():
    """Fits of tables choose small flows, as no option of theirs can: the files are to be small."""
    from pushforward.table_models import assembly

    def smaller(choose):
        def choose_smaller(*arguments, **options):
            recipe = choose(*arguments, **options)
            sizes = {"hidden": [16, 16], "layers": 2, "bins": 4, "residual": False, "dropout": 0.0}
            if recipe.flow["architecture"] == "arbitrary_conditional":
                sizes = {"hidden": 16, "blocks": 1, "bins": 4}
            return dataclasses.replace(recipe, flow={**recipe.flow, **sizes})

        return choose_smaller

    with contextlib.ExitStack() as stack:
        for name in ("choose_recipe", "choose_arbitrary_conditional"):
            stack.enter_context(mock.patch.object(assembly, name, smaller(getattr(assembly, name))))
        yield


def with_gaps(table, but=()):
    """The table with every seventh cell of its columns emptied."""
    for place, name in enumerate(table.column_names):
        if name not in but:
            values = table[name].to_pylist()
            gaps = [None if (row + 3 * place) % 7 == 0 else value for row, value in enumerate(values)]
            table = table.set_column(place, name, pa.array(gaps, table[name].type))
    return table


def record_tables(folder):
    rows = to_table(make_rows(300), NAMES)
    kinds = make_kinds(300)
    complete = kinds.drop_columns(["phase"])
    uniform = np.random.default_rng(3).random((300, 2))
    measured = rows.append_column("flux_error", pa.array(0.1 + uniform[:, 0]))
    measured = measured.append_column("mass_error", pa.array(0.2 * uniform[:, 1]))
    weighted = rows.append_column("weight", pa.array(uniform[:, 0]))
    gappy = with_gaps(kinds.drop_columns(["remark", "site"]), but=["stars"])

    def fitted(table, **options):
        with small_recipes():
            return pf.fit_table(table, max_steps=40, progress=False, seed=1, **options).model

    models = {
        "plain": (fitted(rows), rows),
        "given": (fitted(rows, given=["mass"]), rows),
        "kinds": (fitted(kinds), kinds),
        "kinds_complete": (fitted(complete), complete),
        "kinds_given": (fitted(complete, given=["mass", "stars"]), complete),
        "any_given": (fitted(rows, arbitrary_conditions=True), rows),
        "any_given_gaps": (fitted(gappy), gappy),
        "any_given_conditions": (fitted(gappy, given=["stars", "sex"], arbitrary_conditions=True), gappy),
        "errors": (fitted(measured, errors={"flux": "flux_error", "mass": "mass_error"}), measured),
        "weights": (fitted(weighted, weight="weight"), weighted),
        "any_given_weights": (fitted(weighted, weight="weight", arbitrary_conditions=True), weighted),
    }
    for name in ("plain", "given"):
        teacher = models[name][0]
        context = None if name == "plain" else teacher.context_of(teacher.codes(rows, columns=teacher.given))
        student = pf.student_for(teacher.flow, layers=2, hidden=(16, 16), bins=4, context=context, seed=1)
        report = pf.distill(
            teacher.flow, student, context=context, max_steps=40, draws=200, timing_rows=0, seed=1, progress=False
        )
        notes = {"flow": "nsf", "seed": 1, "steps": report.to_dict().get("steps")}
        distilled = dataclasses.replace(teacher, flow=student, notes=notes, calibration=None)
        models["distilled" if name == "plain" else "distilled_given"] = (distilled, rows)
    same = pf.gaussianized(random(pf.maf(3, order="same", **SMALL)), torch.tensor(make_rows(300)), knots=6)
    models["same_order"] = (golden.TableModel(same, NAMES), rows)

    of = {
        "kinds": ["rain", "phase"],
        "any_given": ["flux"],
        "any_given_gaps": ["time", "alive"],
        "any_given_conditions": ["share"],
    }
    facts = {}
    for name, (model, table) in models.items():
        facts[name] = {
            "given": bool(model.given),
            "any_given": model.arbitrary_conditions,
            "shares": model.arbitrary_conditions or name == "same_order",
            "of": of.get(name, []),
        }
        record_table(folder, name, model, table, facts[name])
    write_json(folder / "questions.json", facts)


def make_rounded(rows):
    """Rounded numbers, an atom at 0, categories and counts; missing cells, some of them written as words."""
    generator = np.random.default_rng(4)
    rain = np.where(generator.random(rows) < 0.4, 0.0, np.round(generator.exponential(size=rows), 2))
    temperature = np.round(2 * (20 + 3 * generator.normal(size=rows) + rain)) / 2
    site = np.where(generator.random(rows) < 0.5, "north", "south").tolist()
    place = np.arange(rows)
    return pa.table(
        {
            "temperature": np.where(place % 13 == 0, -99.9, temperature),
            "rain": rain,
            "site": [None if k % 9 == 0 else "unknown" if k % 11 == 0 else site[k] for k in place.tolist()],
            "cloud": generator.integers(0, 9, rows),
        }
    )


def record_formats(folder):
    """A model of a table in the present format, beside those of earlier ones."""
    rows = make_rounded(400)
    with small_recipes():
        model = pf.fit_table(rows, max_steps=40, progress=False, seed=1, missing=["-99.9", "unknown"]).model
    questions = folder / "questions.json"
    facts = json.loads(questions.read_text())
    name = f"format_{FORMAT}"
    facts[name] = {"given": False, "any_given": True, "shares": True, "of": ["rain", "temperature"]}
    record_table(folder, name, model, rows, facts[name])
    write_json(questions, facts)


def record_table(folder, name, model, table, facts):
    """A model of a table, rows of it, and what the commands answer."""
    path, rows_path = folder / f"{name}.safetensors", folder / f"{name}.parquet"
    model.save(path)
    pa.parquet.write_table(table.slice(0, 40), rows_path)
    groups = {}
    for precision in ("float32", "float64"):
        with tempfile.TemporaryDirectory() as scratch, golden.inside(scratch):
            groups[precision] = golden.table_answers(path, rows_path, precision, facts)
    golden.save_arrays(path.with_suffix(".npz"), groups)


def record_commands(folder):
    """Models of the demo's table, a part of it, and what every command says of them."""
    table = pa.parquet.read_table(golden.HERE.parent.parent / "examples" / "coads" / "coads.parquet")
    pa.parquet.write_table(table.slice(0, 2000).replace_schema_metadata(None), folder / "rows.parquet")
    pa.parquet.write_table(with_gaps(table.slice(2000, 60)), folder / "gaps.parquet")
    names = "sea_temperature,air_temperature,specific_humidity,wind_speed,wind_u,wind_v,pressure"
    with tempfile.TemporaryDirectory() as scratch, golden.inside(scratch), small_recipes():
        for name, options in (("plain", ["--columns", names]), ("any_given", ["--arbitrary-conditions"])):
            rows, output = folder / "rows.parquet", f"{name}.safetensors"
            golden.invoke("fit", rows, "-o", output, "--max-time", 3, "--seed", 1, "-q", *options)
            shutil.copyfile(output, folder / output)
    for names, file in ((golden.READING, "reading.json"), (golden.TRAINING, "training.json")):
        found = {}
        for name in names:
            with tempfile.TemporaryDirectory() as scratch, golden.inside(scratch):
                found[name] = golden.command_json(name)
        write_json(folder / file, found)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = {"flows": record_flows, "sound": record_sound, "tables": record_tables, "commands": record_commands}
    for part in sys.argv[1:] or parts:
        folder = golden.HERE / part
        if part == "formats":
            record_formats(folder)
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        parts[part](folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{part}: {len(list(folder.iterdir()))} files, {size / 1e6:.2f} MB")
