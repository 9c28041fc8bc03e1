"""The command line: the same work as in Dagster's UI, and what needs no Dagster at all."""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from icecore_dagster.particles.laboratory import DATA_VARIABLE, STORAGE_VARIABLE, Laboratory
from icecore_dagster.particles.published.record import PUBLISHED_DOI, ZENODO

app = typer.Typer(
    name="icecore",
    help="Find volcanic ash, pollen and anomalies among the particles of ice cores imaged by a FlowCam.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
simulate_app = typer.Typer(
    help="Draw particles that never were, as complete FlowCam run folders.", invoke_without_command=True
)
app.add_typer(simulate_app, name="simulate")

Data = Annotated[
    Path | None, typer.Option("--data", envvar=DATA_VARIABLE, help="The laboratory's data folder (default: ./data)")
]
_LOG_WIDTH = 130
"""Width of tables where the output is no terminal, so that a log keeps them whole."""
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _LOG_WIDTH)


def _laboratory(data: Path | None) -> Laboratory:
    return Laboratory.at(data or "data", os.environ.get(STORAGE_VARIABLE))


@app.command(epilog="Example: `icecore inspect data/landing/GRIP_3046_40_55_1`")
def inspect(
    run: Annotated[Path, typer.Argument(help="Run folder, table of images, folder of crops, or one image")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")] = False,
) -> None:
    """Say what a run holds: facts, counts, size range, and what is wrong with it."""
    from icecore_dagster.reports.inspection import describe_run

    description = describe_run(run)
    if as_json:
        typer.echo(json.dumps(description.as_dict(), indent=2, ensure_ascii=False, default=str))
        return
    table = Table(title=str(run), show_header=False, title_justify="left")
    for key, value in description.facts.items():
        table.add_row(key, value)
    console.print(table)
    for line in description.wrong:
        console.print(f"• {line}", markup=False)


@app.command("verify-properties", epilog="Example: `icecore verify-properties data/landing/GRIP_3046_40_55_1`")
def verify(run: Annotated[Path, typer.Argument(help="Run folder with masks (*_bin.tif)")]) -> None:
    """Measure a run's particles again from crop and mask, and hold every property against the instrument's value."""
    from icecore_dagster.flowcam.run import read_run
    from icecore_dagster.particles.verification import EXACT_SHARE, verify_properties

    agreements = verify_properties(read_run(run))
    table = Table(title=f"{run}: {agreements[0].rows} particles with a mask", title_justify="left")
    for name in ("property", "equal within rounding", "largest difference", "formula"):
        table.add_column(name, justify="left" if name in ("property", "formula") else "right")
    for one in agreements:
        largest = f"{one.largest_difference:.2g} {one.quantity.unit}".strip()
        table.add_row(one.quantity.flowcam_name, f"{one.share:.1%}", largest, one.quantity.certainty.value)
    console.print(table)
    failed = [one.quantity.flowcam_name for one in agreements if not one.holds]
    if failed:
        raise RuntimeError(f"{run}: fewer than {EXACT_SHARE:.0%} of the rows are equal for {', '.join(failed)}")


@app.command(epilog="Example: `icecore score data/landing/GRIP_3046_40_55_1 -o scores.csv`")
def score(
    path: Annotated[Path, typer.Argument(help="Run folder, folder of crops, table of images, or one image")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .parquet or .csv")],
    calibration: Annotated[
        float | None, typer.Option(help="Size of a pixel in µm, for images that do not state it", min=0.001)
    ] = None,
    data: Data = None,
) -> None:
    """Score particles with the trained models, without Dagster: one row a particle."""
    from icecore_dagster.scoring.files import require_known_ending, score_path, write_scores

    require_known_ending(output)
    scores = score_path(path, _laboratory(data), um_per_px=calibration)
    write_scores(scores, output)
    counts = scores["predicted_class"].value_counts()
    console.print(
        f"{len(scores)} particles scored: {', '.join(f'{n} {name}' for name, n in counts.items())} → {output}"
    )


@app.command(epilog="Example: `icecore similar GRIP_3046_40_55_1_2787 --core GRIP_3306 -o like.html`")
def similar(
    particle_id: Annotated[str, typer.Argument(help="A particle of any core, or a labelled one")],
    core: Annotated[str | None, typer.Option(help="Core to look in (default: the particle's own)")] = None,
    most: Annotated[int, typer.Option("-n", "--most", help="Particles to find", min=1, max=1_000)] = 20,
    by: Annotated[
        Literal["network", "siamese"],
        typer.Option(help="The network that scored the core, whose places are stored; or the siamese network, slower"),
    ] = "network",
    metric: Annotated[
        Literal["cosine", "euclidean"], typer.Option(help="How distance in the network's embedding is measured")
    ] = "cosine",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write crops and table (.html), table (.csv) or crops (.png)")
    ] = None,
    data: Data = None,
) -> None:
    """Find the particles of a core that look most like a given one."""
    from icecore_dagster.reports.similar import require_known_ending, rows_for_people, write_similar
    from icecore_dagster.scoring.similar import By, Metric, find_similar

    if output:
        require_known_ending(output)
    lab = _laboratory(data)
    found = find_similar(lab, particle_id, core, most=most, by=By(by), metric=Metric(metric))
    table = Table(title=f"Most like {particle_id} of {found.searched} particles of {found.core}", title_justify="left")
    for name in ("rank", "particle", "distance", "class", "ESD", "depth in the bag"):
        table.add_column(name, justify="left" if name in ("particle", "class") else "right")
    for row in rows_for_people(found.found):
        table.add_row(*row.values())
    console.print(table)
    if output:
        which = "siamese network" if by == "siamese" else "network that scored the core"
        write_similar(lab, found, output, f"Nearest by {metric} distance in the embedding of the {which}")
        console.print(f"written: {output}")


@simulate_app.callback(epilog="Example: `icecore simulate --validate --real my_particles`")
def simulate(
    context: typer.Context,
    validate: Annotated[
        bool, typer.Option("--validate", help="Write a page that says how real the drawn particles are")
    ] = False,
    real: Annotated[
        Path | None, typer.Option(help="Folder of real particles: images, and labels.csv (columns image, label)")
    ] = None,
    particles: Annotated[int, typer.Option(help="Labelled particles in each drawn set", min=1_000)] = 60_000,
    seeds: Annotated[int, typer.Option(help="Sets to draw, each with a seed of its own", min=1)] = 5,
    epochs: Annotated[int, typer.Option(help="Passes of the network over each set; 0 trains none", min=0)] = 8,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="HTML file (default: with the results)")] = None,
    data: Data = None,
) -> None:
    """Draw particles that never were, as complete FlowCam run folders; or see how real they are (--validate)."""
    if context.invoked_subcommand is not None:
        _refuse_options_before(context, context.invoked_subcommand)
        return
    if not validate:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    from icecore_dagster.learning.realism.validation import RealismConfig, read_real_particles, validate_simulator
    from icecore_dagster.reports.simulator.page import write_realism_page

    lab = _laboratory(data)
    config = RealismConfig(particles=particles, seeds=tuple(range(1, seeds + 1)), epochs=epochs)
    known = read_real_particles(real) if real else ()
    page = output or lab.data / "results" / "reports" / "simulator.html"
    findings = validate_simulator(lab.data / "scratch" / "simulator", config, known)
    of_real = " --real FOLDER" if real else ""
    command = f"icecore simulate --validate --particles {particles} --seeds {seeds} --epochs {epochs}{of_real}"
    write_realism_page(findings, page, command)
    console.print(f"how real the simulated particles are: {page}")


def _refuse_options_before(context: typer.Context, subcommand: str) -> None:
    """Options of the group would be ignored in front of a subcommand."""
    given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise typer.BadParameter(
            f"{options} belongs to `icecore simulate --validate`; put options after `{subcommand}`"
        )


@simulate_app.command("labelled", epilog="Example: `icecore simulate labelled --particles 5000`")
def simulate_labelled_runs(
    particles: Annotated[int, typer.Option(help="Particles to draw, all classes together", min=1)] = 5_000,
    seed: Annotated[int, typer.Option(help="The same seed draws the same particles")] = 2021,
    folder: Annotated[Path | None, typer.Option(help="Where to write (default: <data>/labelled)")] = None,
    data: Data = None,
) -> None:
    """Draw labelled laboratory runs, several of each class."""
    from icecore_dagster.simulation.laboratory import simulate_labelled

    target = folder or _laboratory(data).labelled
    runs = simulate_labelled(target, particles=particles, seed=seed)
    console.print(f"{len(runs)} labelled runs in {target}")


@simulate_app.command("ice", epilog="Example: `icecore simulate ice --core GRIP_3046 --particles-per-run 1000`")
def simulate_ice_runs(
    core: Annotated[list[str] | None, typer.Option(help="Core to draw; may be given several times")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="Depth range, from_to in cm; may be given several times")
    ] = None,
    replicates: Annotated[int, typer.Option(help="Repeated measurements of each segment", min=1)] = 2,
    particles_per_run: Annotated[int, typer.Option(help="Mean particles in one run", min=1)] = 1_000,
    seed: Annotated[int, typer.Option(help="The same seed draws the same particles")] = 2021,
    folder: Annotated[Path | None, typer.Option(help="Where to write (default: <data>/landing)")] = None,
    data: Data = None,
) -> None:
    """Draw ice runs; what each particle really is goes into the data folder under truth/."""
    from icecore_dagster.simulation.laboratory import GRIP_CORES, GRIP_SEGMENTS, simulate_ice

    lab = _laboratory(data)
    target = folder or lab.landing
    runs = simulate_ice(
        target,
        truth_folder=lab.truth if folder is None else folder.parent / "truth",
        cores=core or GRIP_CORES,
        segments=segment or GRIP_SEGMENTS,
        replicates=replicates,
        particles_per_run=particles_per_run,
        seed=seed,
    )
    console.print(f"{len(runs)} ice runs in {target}")


@app.command(epilog="Example: `icecore backfill GRIP_3046`")
def backfill(
    core: Annotated[str, typer.Argument(help="Core to read and score again, such as GRIP_3046")],
    data: Data = None,
) -> None:
    """Read and score every imaged segment of one core again, through Dagster's queue."""
    from icecore_dagster.orchestration.conducting.backfill import backfill_core

    cells = backfill_core(_laboratory(data), core)
    console.print(f"{core}: {len(cells)} segments read and scored again ({', '.join(cells)})")


@app.command(epilog="Example: `icecore report GRIP_3046`")
def report(
    core: Annotated[str, typer.Argument(help="Core to report on, such as GRIP_3046")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="HTML file (default: with the results)")] = None,
    data: Data = None,
) -> None:
    """Write the page of one core from its stored results, without Dagster."""
    from icecore_dagster.reports.core_report import write_core_report

    written = write_core_report(_laboratory(data), core, output)
    console.print(f"report of {core}: {written.address}")


@app.command(epilog="Example: `icecore fetch --list`, then `icecore fetch`")
def fetch(
    doi: Annotated[str, typer.Argument(help="Zenodo DOI of the published particles")] = PUBLISHED_DOI,
    source: Annotated[str, typer.Option("--from", metavar="URL", help="Mirror with Zenodo's paths")] = ZENODO,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of the files to fetch, such as '*.csv'; may be given several times"),
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Say what there is, and download nothing")] = False,
    keep_archives: Annotated[bool, typer.Option(help="Keep the archives after they were unpacked")] = False,
    data: Data = None,
) -> None:
    """Download the published labelled particles into data/datasets; run again, it goes on where it stopped."""
    from icecore_dagster.particles.published.fetch import fetch_published
    from icecore_dagster.particles.published.record import list_files

    if list_only:
        table = Table(title=f"{doi} at {source}", title_justify="left")
        for heading in ("file", "MB", "checksum"):
            table.add_column(heading, justify="right" if heading == "MB" else "left")
        for file in list_files(doi, source):
            table.add_row(file.name, f"{file.size / 1e6:,.1f}", file.checksum)
        console.print(table)
        return
    lab = _laboratory(data)
    fetched = fetch_published(lab, doi=doi, source=source, only=only or (), keep_archives=keep_archives)
    tables = ", ".join(table.name for table in fetched.tables) or "none"
    console.print(f"{len(fetched.files)} files of {doi} are in {lab.published}; labelled tables there: {tables}")


@app.command("import-ice", epilog="Example: `icecore import-ice data/datasets/test/GRIP_raw/GRIP_3046_raw.csv`")
def import_ice(
    tables: Annotated[list[Path], typer.Argument(help="Tables with one image file a particle, of many ice runs each")],
    data: Data = None,
) -> None:
    """Take tables of many ice runs apart into run folders in data/landing, where the landing sensor finds them."""
    from icecore_dagster.particles.published.ice_tables import import_ice_table

    lab = _laboratory(data)
    for table in tables:
        taken = import_ice_table(table, lab.landing)
        rows = sum(taken.runs.values())
        console.print(f"{table}: {rows} particles in {len(taken.runs)} runs in {lab.landing}", markup=False)
        if taken.without_image:
            console.print(f"• {taken.without_image} of them without an image: put the images where the table says")
        for reason, count in taken.refused.items():
            console.print(f"• {count} rows refused: {reason}", markup=False)


@app.command(epilog="Example: `icecore search --task three_class --trials 20`")
def search(
    task: Annotated[str, typer.Option(help="Task to search for")] = "seven_class",
    trials: Annotated[
        int, typer.Option(help="Trainings in all; run again, only the missing ones are made", min=1)
    ] = 12,
    epochs: Annotated[int, typer.Option(help="Passes over the training images of each trial at most", min=1)] = 4,
    most: Annotated[int, typer.Option(help="Training images of each label at most; 0 for all", min=0)] = 500,
    architecture: Annotated[
        list[str] | None, typer.Option(help="Network to try; may be given several times (default: all)")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the configuration to save (default: best_<task>)")] = "",
    seed: Annotated[int, typer.Option(help="Of the sampler and of every training")] = 0,
    data: Data = None,
) -> None:
    """Search for a network and the constants of its training by validation runs, and save the best under a name."""
    from icecore_dagster.learning.search.space import SearchSpace
    from icecore_dagster.learning.search.study import SearchConfig, search_network
    from icecore_dagster.particles.labels import TASKS
    from icecore_dagster.reports.figures.models.search import write_search_figures

    if task not in TASKS:
        raise typer.BadParameter(f"no task {task!r}; known: {', '.join(TASKS)}")
    lab, space = _laboratory(data), SearchSpace(tuple(architecture)) if architecture else SearchSpace()
    config = SearchConfig(trials=trials, epochs=epochs, most_of_label=most or None, seed=seed, space=space)
    found = search_network(lab, task, config, name=name)
    figures = write_search_figures(lab.store.report(""), found.study, found.trials, found.importance)
    best = found.best
    searched = ", ".join(f"{field} {_as_text(best.training[field])}" for field in best.searched)
    accuracy = best.study["validation_balanced_accuracy"]
    console.print(
        f"best of {len(found.trials)} trials: {best.architecture}, {searched}; balanced accuracy on validation runs "
        f"{accuracy:.3f}\nsaved as {found.saved_at}\nfigures: {', '.join(map(str, figures))}\n"
        f"to train with it, materialise cnn_model {best.architecture}|{task} with configuration: {best.name}"
    )


@app.command(epilog="Example: `icecore energy`")
def energy(data: Data = None) -> None:
    """Say what all trainings, searches and scorings have cost together, beside the reference study."""
    from icecore_dagster.scoring.energy_ledger import keep_energy_ledger, total_of

    ledger = keep_energy_ledger(_laboratory(data))
    table = Table(title="Energy (each estimate may be off by 40 %)", title_justify="left")
    shown = ("by", "stage", "kind", "architecture", "task", "pieces", "seconds", "kwh", "co2eq_g", "car_km")
    for heading in shown:
        table.add_column(heading, justify="right" if heading in shown[5:] else "left")
    for row in ledger[list(shown)].itertuples(index=False):
        table.add_row(*("" if cell != cell or cell is None else _as_text(cell) for cell in row))
    console.print(table)
    console.print(f"estimated by: {total_of(ledger)['method']}", markup=False)


def _as_text(cell: object) -> str:
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


@app.command(epilog="Example: `icecore demo`")
def demo(data: Data = None) -> None:
    """Draw a small laboratory and four cores, and take them through Dagster to ranked candidates and reports."""
    from icecore_dagster.orchestration.conducting.demo import DemoSize, run_demo
    from icecore_dagster.reports.summary import core_summary

    lab, size = _laboratory(data), DemoSize()
    seconds = run_demo(lab, size)
    for title, rows in (("What was found", core_summary(lab, size.cores)), ("Wall time", _as_rows(seconds))):
        table = Table(title=title, title_justify="left")
        for name in rows[0]:
            table.add_column(name, justify="left" if name == next(iter(rows[0])) else "right")
        for row in rows:
            table.add_row(*row.values())
        console.print(table)
    console.print(f"reports: {lab.store.report('')}\nlook at everything in Dagster: make ui")


@app.command(epilog="Example: `icecore study --quick`")
def study(
    quick: Annotated[bool, typer.Option("--quick", help="A small study of some minutes instead of a night")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this experiment alone (see --list); may be given several times")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure also what has been measured")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Name the experiments and end")] = False,
    data: Data = None,
) -> None:
    """Measure every figure of the 2021 study again, and write one page of ours beside the published ones."""
    from icecore_dagster.study.command import run_study
    from icecore_dagster.study.plan import study_plan

    if list_all:
        for experiment in study_plan():
            typer.echo(experiment.key)
        return
    done = run_study(_laboratory(data), quick=quick, only=only or (), again=again)
    console.print(f"{sum(len(record.measurements) for record in done.records)} figures: {done.page}")
    if done.open:
        console.print(f"{len(done.open)} of {len(study_plan())} experiments are still to be measured: {done.command}")
    failed = [record for record in done.records if record.trouble]
    if failed:
        reasons = "; ".join(f"{record.experiment}: {record.trouble}" for record in failed)
        raise RuntimeError(f"{len(failed)} experiments failed and will be tried again next time: {reasons}")


def _as_rows(seconds: dict[str, float]) -> list[dict[str, str]]:
    return [{"stage": stage, "seconds": f"{spent:.0f}"} for stage, spent in seconds.items()]


@app.command(epilog="Example: `icecore ui --port 3000`")
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1", min=1, max=65535)] = 3000,
    data: Data = None,
) -> None:
    """Open Dagster's UI over the laboratory's data, with its daemon, on this computer only."""
    from icecore_dagster.orchestration.conducting.conductor import MODULE, prepare_ui

    lab = _laboratory(data)
    environment = prepare_ui(lab)
    console.print(f"Dagster over {lab.data}: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-m", "dagster", "dev", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port)]
    os.execve(sys.executable, command, environment)


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line and exit code 1, not in a traceback."""
    # A polite kill unwinds the stack, so that a daemon of our own is not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get("ICECORE_TRACEBACK"):
            raise
        console.file = sys.stderr
        console.print(f"icecore: {error}", markup=False, highlight=False)
        sys.exit(1)
    except Exception as error:
        if os.environ.get("ICECORE_TRACEBACK"):
            raise
        console.file = sys.stderr
        said = f"icecore: {type(error).__name__}: {error} (set ICECORE_TRACEBACK=1 to see where)"
        console.print(said, markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
