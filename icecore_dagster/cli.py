"""The command line: the same work as in Dagster's UI, and what needs no Dagster at all."""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from icecore_dagster.particles.laboratory import DATA_VARIABLE, STORAGE_VARIABLE, Laboratory

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


@simulate_app.callback(epilog="Example: `icecore simulate --validate --real my_particles`")
def simulate(
    context: typer.Context,
    validate: Annotated[
        bool, typer.Option("--validate", help="Write a page that says how real the drawn particles are")
    ] = False,
    real: Annotated[
        Path | None, typer.Option(help="Folder of real particles: images, and labels.csv (columns image, label)")
    ] = None,
    particles: Annotated[int, typer.Option(help="Labelled particles in each drawn set", min=1_000)] = 30_000,
    seeds: Annotated[int, typer.Option(help="Sets to draw, each with a seed of its own", min=1)] = 5,
    epochs: Annotated[int, typer.Option(help="Passes of the network over each set; 0 trains none", min=0)] = 5,
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
    from icecore_dagster.orchestration.backfill import backfill_core

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


@app.command(epilog="Example: `icecore demo`")
def demo(data: Data = None) -> None:
    """Draw a small laboratory and four cores, and take them through Dagster to ranked candidates and reports."""
    from icecore_dagster.orchestration.demo import DemoSize, run_demo
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


def _as_rows(seconds: dict[str, float]) -> list[dict[str, str]]:
    return [{"stage": stage, "seconds": f"{spent:.0f}"} for stage, spent in seconds.items()]


@app.command(epilog="Example: `icecore ui --port 3000`")
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1", min=1, max=65535)] = 3000,
    data: Data = None,
) -> None:
    """Open Dagster's UI over the laboratory's data, with its daemon, on this computer only."""
    from icecore_dagster.orchestration.conductor import MODULE, prepare_ui

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
