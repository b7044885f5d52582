"""The `dosebench` command. Each command imports what it needs, so that `dosebench list` answers at once."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import click

from datasets.errors import InputError

KINDS = ("datasets", "structures", "reconstructors", "metrics", "presets")


class _Commands(click.Group):
    """Lists commands in the order of the pipeline; turns a user's error into one sentence and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _InputProblem(str(error)) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise _InputProblem(
                    f"{error.filename or 'output'}: no room left ({error.strerror}); "
                    "what was stored before is intact"
                ) from error
            if error.filename is not None:
                raise _InputProblem(f"{error.filename}: {error.strerror}") from error
            raise
        except KeyboardInterrupt:
            click.echo(
                "\ndosebench: stopped; what is finished is kept, the same command goes on from there",
                err=True,
            )
            raise click.exceptions.Exit(130) from None


class _InputProblem(click.ClickException):
    exit_code = 2


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="dosebench")
def main() -> None:
    """How few electrons does a 3D atomic structure need, and with which method?"""


@main.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False)
def list_command(kind: str | None) -> None:
    """The datasets, structures, reconstructors, metrics and presets there are."""
    from dosebench.listing import entries

    for name in (kind,) if kind else KINDS:
        click.secho(name, bold=True)
        rows = entries(name)
        width = max((len(row[0]) for row in rows), default=0)
        for key, title in rows:
            click.echo(f"  {key:<{width}}  {title}")


@main.command()
@click.argument("name")
@click.option("--validate", is_flag=True, help="Make or load the structure of NAME, and hold it to its card.")
@click.option("--json", "as_json", is_flag=True, help="With --validate: print JSON.")
@click.option("--data", "root", help="Where structures are stored. [default: $DOSEBENCH_DATA or ./data]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def info(name: str, validate: bool, as_json: bool, root: str | None, quiet: bool) -> None:
    """What NAME (a dataset, structure, reconstructor, metric or preset) is, its parameters and reference.

    With --validate, quantities of the structure beside the ranges of its card; exit code 1 if one is outside.
    """
    from dosebench.listing import describe, structure_of, validation_lines

    if not validate:
        click.echo(describe(name))
        return
    from dataclasses import asdict

    from datasets.store import data_root
    from datasets.structures import make_structure
    from datasets.structures.validate import check_card
    from datasets.structures.validate import validate as hold

    card = structure_of(name)
    check_card(card)
    atoms = make_structure(card.recipe, root=root or data_root(), progress=not quiet)
    rows = hold(atoms, card)
    if as_json:
        lines = [json.dumps([{**asdict(row), "within": row.within} for row in rows], indent=2)]
    else:
        lines = validation_lines(card.name, rows)
    click.echo("\n".join(lines))
    if not all(row.within for row in rows):
        raise click.exceptions.Exit(1)


@main.command()
@click.argument("dataset")
@click.option(
    "--dose",
    "doses",
    type=float,
    multiple=True,
    help="Dose [e⁻/Å² per image]; repeat for several. [default: the card's]",
)
@click.option(
    "--replicates",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Noise replicates per dose.",
)
@click.option("--data", "root", help="Where datasets are stored. [default: $DOSEBENCH_DATA or ./data]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def simulate(dataset: str, doses: tuple[float, ...], replicates: int, root: str | None, quiet: bool) -> None:
    """Make DATASET: structure, noise-free images, and the counts of each dose and replicate."""
    from datasets.catalog import load_dataset
    from datasets.simulate import simulate as make

    card = load_dataset(dataset)
    store = make(card, doses or None, replicates, root=root, progress=not quiet)
    for dose in doses or card.doses:
        for replicate in range(replicates):
            click.echo(store.counts_url(dose, replicate))


@main.command("import")
@click.argument("file")
@click.option("--out", required=True, help="The measurement to write: NAME.zarr, .npz or .mat.")
@click.option("--modality", default="adf", show_default=True, help="adf, 4dstem or hrtem.")
@click.option("--variable", help="Which array of FILE; FILE:variable says the same.")
@click.option("--axes", help="As stored, such as y,x,tilt; of patterns such as tilt,scan_y,scan_x,ky,kx.")
@click.option("--pixel-size", type=float, help="Pixel size [Å]; of diffraction patterns the scan's step.")
@click.option("--angles", help="Tilt angles [deg], theta or phi theta psi: a text file, or FILE.h5:name.")
@click.option(
    "--angle-convention", type=click.Choice(["active", "passive"]), help="active: the specimen turns."
)
@click.option("--dose", type=float, help="Dose [e⁻/Å² per image, or per tilt].")
@click.option("--background", type=float, help="Uniform background [electrons per pixel].")
@click.option("--elements", help="Species known to be present, such as Cu,Au.")
@click.option("--energy", "energy_eV", type=float, help="Beam energy [eV].")
@click.option("--reciprocal-pixel-size", type=float, help="Pixel size of diffraction patterns [1/Å].")
@click.option("--semiangle", "semiangle_mrad", type=float, help="Convergence semiangle of the probe [mrad].")
@click.option("--defocus", type=float, help="Defocus at the specimen's centre [Å], underfocus positive.")
@click.option(
    "--centre", help="Of patterns, where the beam is: mass, middle or ROW,COLUMN in pixels. [default: mass]"
)
@click.option("--flip", help="Axes of patterns or scan that run the wrong way, such as ky or scan_x,ky.")
@click.option(
    "--rotate-detector", "turn", type=float, help="Turn patterns from kx towards ky [deg], after --flip."
)
@click.option("--gain", type=float, help="Counts per electron, to divide by.")
@click.option("--offset", type=float, help="Counts to subtract first.")
def import_command(file: str, out: str, elements: str | None, **options: Any) -> None:
    """Turn FILE (.npz .npy .mat .mrc .h5 .emd) into a measurement; what it does not say is asked for."""
    from datasets.formats import check_writable, import_measurement, write_measurement

    check_writable(out, "a measurement")
    symbols = [symbol.strip() for symbol in elements.split(",")] if elements is not None else None
    measurement = import_measurement(file, elements=symbols, **options)
    write_measurement(out, measurement)
    click.echo(f"{out}: {' × '.join(f'{n} {dim}' for dim, n in measurement['counts'].sizes.items())}")
    for note in measurement.attrs.get("import_notes", []):
        click.echo(f"  {note}")


@main.command()
@click.argument("measurement")
@click.option(
    "--with", "name", required=True, help="A reconstructor, such as resire[n_iter=50] or my_module:Mine."
)
@click.option("--out", required=True, help="The answer, ANSWER.extxyz.")
@click.option("--volume", help="Also the volume, V.zarr or V.mrc.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the reconstructor's generator.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def reconstruct(measurement: str, name: str, out: str, volume: str | None, seed: int, quiet: bool) -> None:
    """Recover atoms from MEASUREMENT, a store made by `import` or `simulate`."""
    from datasets.formats import check_writable, read_measurement, write_atoms, write_volume
    from dosebench import reconstruct as recover
    from recon import registry

    reconstructor = registry.get(name)
    check_writable(out, "a structure")
    if volume is not None:
        check_writable(volume, "a volume")
    answer = recover(read_measurement(measurement), reconstructor, seed=seed, progress=not quiet)
    if answer.status.failed:
        raise click.ClickException(
            f"{reconstructor.label}: {answer.status.sentence} {answer.message}".rstrip()
        )
    write_atoms(out, answer.atoms)
    figures = ", ".join(f"{key} {value:.4g}" for key, value in answer.stats.items())
    click.echo(f"{out}: {answer.atoms.get_chemical_formula()}, {len(answer.atoms)} atoms ({figures})")
    if volume is not None:
        if answer.volume is None:
            raise InputError(f"{reconstructor.label} makes no volume, so {volume} was not written")
        write_volume(volume, answer.volume)


@main.command()
@click.argument("name")
@click.option("--corpus", "url", help="Where the corpus is, or is made. [default: $DOSEBENCH_DATA or ./data]")
@click.option(
    "--samples", "n_samples", type=int, default=1536, show_default=True, help="Volumes in the corpus."
)
@click.option("--steps", "n_steps", type=int, help="Steps of the optimiser.  [default: the network's]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of weights and patches.")
@click.option("--out", type=click.Path(path_type=Path), default="trained", show_default=True, help="Folder.")
@click.option("--bfloat16", is_flag=True, help="Faster on CUDA and on processors with bfloat16 matrix units.")
@click.option("--device", default="auto", show_default=True, help="A PyTorch device, or auto.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train(
    name: str,
    url: str | None,
    n_samples: int,
    n_steps: int | None,
    seed: int,
    out: Path,
    bfloat16: bool,
    device: str,
    quiet: bool,
) -> None:
    """Train network NAME: unet, pann-volumes, pann-species, support-removal or wedge-completion.

    The corpus of volumes is made where it is missing. Stopped, the same command goes on. Of pann-species,
    which learns from what pann-volumes finds (in --out, else as shipped), --steps are epochs.
    """
    from datasets.store import data_root
    from dosebench.training import train_network

    path = train_network(
        name,
        url=url or data_root(),
        n_samples=n_samples,
        n_steps=n_steps,
        seed=seed,
        out=out,
        bfloat16=bfloat16,
        device=device,
        quiet=quiet,
    )
    click.echo(f"weights: {path}")


@main.command()
@click.argument("answer")
@click.argument("truth")
@click.option("--cutoff", type=float, help="Matching cutoff [Å]. [default: 1.0]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def score(answer: str, truth: str, cutoff: float | None, as_json: bool) -> None:
    """Compare the atoms in ANSWER with those in TRUTH (.extxyz or .xyz)."""
    from datasets.formats import read_atoms
    from dosebench import score as compare

    scores = compare(read_atoms(answer), read_atoms(truth), cutoff=cutoff)
    if as_json:
        click.echo(json.dumps(scores, indent=2))
        return
    from dosebench.listing import score_lines

    click.echo("\n".join(score_lines(scores)))


@main.command()
@click.argument("dataset")
@click.option(
    "--dose", "doses", type=float, multiple=True,
    help="Dose [e⁻/Å² per image]; repeat for several. [default: the card's]",
)  # fmt: skip
@click.option("--rmsd", type=float, help="Also the dose that this precision [pm] needs.")
@click.option("--tracing-error", type=float, help="Also the dose at which this error (0.05) can be reached.")
@click.option(
    "--marginal", "unknown", multiple=True, metavar="NAME",
    help="Unknown too: amplitudes, species, widths, background, shifts, scales or angles; repeatable.",
)  # fmt: skip
@click.option("--optics", is_flag=True, help="Of a graphene frame: the error of z by defocus, Cs and dose.")
@click.option("--frames", type=int, help="With --optics: sample the posterior of that many frames too.")
@click.option(
    "--figure", type=click.Path(path_type=Path), help="With --optics: a picture of it, PNG, SVG or PDF."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--data", "root", help="Where datasets are stored. [default: $DOSEBENCH_DATA or ./data]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def limit(
    dataset: str,
    doses: tuple[float, ...],
    rmsd: float | None,
    tracing_error: float | None,
    unknown: tuple[str, ...],
    optics: bool,
    frames: int | None,
    figure: Path | None,
    as_json: bool,
    root: str | None,
    quiet: bool,
) -> None:
    """What physics allows on DATASET: the Cramér–Rao bound on the RMSD by dose.

    Beside it the floor, where the best fit of a sum of atoms to images without noise lies. Noise-free images
    are made first where they are missing.

    With --optics, what a frame of graphene can tell of z, by defocus, Cs and dose: from the frame alone, and
    with the energy of graphene.
    """
    if optics:
        from dosebench.optics_limiting import optics_lines, optics_report

        if rmsd is not None or tracing_error is not None or unknown:
            raise InputError("--optics has no --rmsd, --tracing-error or --marginal")
        found = optics_report(
            dataset, doses, frames=frames or 0, figure=figure, root=root, progress=not quiet
        )
        click.echo(json.dumps(found, indent=2) if as_json else "\n".join(optics_lines(found)))
        return
    if frames is not None or figure is not None:
        raise InputError("--frames and --figure go with --optics")
    from dosebench.limiting import limit_lines, limit_report

    report = limit_report(
        dataset, doses, rmsd, unknown, tracing_error=tracing_error, root=root, progress=not quiet
    )
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(limit_lines(report)))


@main.command()
@click.argument("preset")
@click.option(
    "--with",
    "extra",
    multiple=True,
    help="A further reconstructor, by name or package.module:Name; repeatable.",
)
@click.option(
    "--results", type=click.Path(path_type=Path), help="Where results go. [default: results/PRESET]"
)
@click.option("--data", "root", help="Where datasets are stored. [default: $DOSEBENCH_DATA or ./data]")
@click.option("--scheduler", help="Address of a running dask scheduler, tcp://…")
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and what it costs.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def run(
    preset: str,
    extra: tuple[str, ...],
    results: Path | None,
    root: str | None,
    scheduler: str | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run PRESET (a name or a YAML file): simulate, reconstruct, score. Finished cells are kept."""
    from dosebench.running import run_preset

    click.echo(
        run_preset(
            preset,
            extra,
            results=results,
            data_root=root,
            scheduler=scheduler,
            dry_run=dry_run,
            progress=not quiet,
        )
    )


@main.command()
@click.argument("names", nargs=-1, metavar="RESULTS | --structures [NAME]...")
@click.option(
    "--structures", is_flag=True, help="Draw structures instead: those named, or all of the catalog."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where the report goes. [default: RESULTS/report; results/structures]",
)
@click.option(
    "--data", "root", help="Where datasets and structures are stored. [default: $DOSEBENCH_DATA or ./data]"
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def report(names: tuple[str, ...], structures: bool, out: Path | None, root: str | None, quiet: bool) -> None:
    """Write the report of RESULTS: a self-contained page and its figures.

    With --structures, a gallery: each structure drawn, with what shows its order and whether it is as
    published.
    """
    if structures:
        from reports.gallery import write_gallery

        gallery = write_gallery(names, out, root=root, progress=not quiet)
        click.echo(f"report: {gallery.page}")
        for sentence in gallery.failures:
            click.echo(f"  {sentence}", err=True)
        return
    if len(names) != 1:
        raise InputError(
            "report takes one folder of results, or --structures and the names of structures (all without); "
            f"{f'{len(names)} were' if names else 'nothing was'} given"
        )
    from reports.report import write_report

    click.echo(f"report: {write_report(Path(names[0]), out, data_root=root)}")


@main.command()
@click.argument("number", type=click.Choice(["000", "001", "002", "003", "004"]))
@click.option(
    "--scale",
    type=click.Choice(["small", "full"]),
    default="small",
    show_default=True,
    help="What to run: small siblings (presets graphene-smoke, neural, paper-003-small, paper-004-small and "
    "phase-contrast), or specimens as large as the paper's (graphene and graphene-series, paper-003, "
    "paper-004).",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Draw from these results; nothing is run but pictures. Repeat for several folders.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where the figures go. [default: RESULTS/paper-NUMBER]"
)
@click.option("--data", "root", help="Where datasets are stored. [default: $DOSEBENCH_DATA or ./data]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def paper(
    number: str, scale: str, results: tuple[Path, ...], out: Path | None, root: str | None, quiet: bool
) -> None:
    """The figures of paper NUMBER from our own results, with its numbers as marks: a page, PNG, SVG and PDF.

    Runs the presets of the scale, or what is left of them, unless --results are given.
    """
    from reports.paper import PAPERS, write_paper

    folders = list(results)
    if not folders:
        from benchmarks.grid import run as run_grid
        from benchmarks.preset import load_preset

        for name in PAPERS[number].presets[scale]:
            preset = load_preset(name)
            folders.append(Path("results") / preset.name)
            run_grid(preset, results=str(folders[-1]), data_root=root, progress=not quiet)
    written = write_paper(number, folders, out, data_root=root, progress=not quiet)
    click.echo(f"paper {number}: {written.page}")
    for sentence in written.missing:
        click.echo(f"  {sentence}", err=True)
