"""Driving Dagster from the command line: the same requests the UI makes, and a daemon while there is none.

Work is submitted over GraphQL and runs through Dagster's own queue; nothing here executes an asset itself.
"""

import contextlib
import importlib.resources
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.cli import execute_query

from icecore_dagster.particles.laboratory import DATA_VARIABLE, Laboratory

MODULE = "icecore_dagster.definitions"
_REPOSITORY = {"repositoryLocationName": MODULE, "repositoryName": "__repository__"}
_GOING_ON = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, *_GOING_ON]
_BACKFILL_GOES_ON = (BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING)
_UNFINISHED_BACKFILLS = BulkActionsFilter(statuses=list(_BACKFILL_GOES_ON))
_POLL_SECONDS = 1.0
_HEARTBEAT_SECONDS = 40
"""A daemon reports every 30 s."""
_DAEMON_START_SECONDS = 90

log = logging.getLogger(__name__)


class OrchestrationError(RuntimeError):
    """Dagster refused a request, or work that was asked for failed."""


def prepare_home(lab: Laboratory) -> dict[str, str]:
    """Make the folders of a laboratory and Dagster's settings in them, once.

    Returns:
        The environment in which Dagster is to be started.
    """
    for folder in (lab.landing, lab.labelled, lab.dagster_home):
        folder.mkdir(parents=True, exist_ok=True)
    settings = lab.dagster_home / "dagster.yaml"
    if not settings.exists():
        default = importlib.resources.files("icecore_dagster.orchestration").joinpath("instance", "dagster.yaml")
        settings.write_text(default.read_text(encoding="utf-8"), encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(lab.dagster_home)
    os.environ[DATA_VARIABLE] = str(lab.data)
    # Threads that wait must not spin: runs share the cores, and spinning slows the run beside them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return dict(os.environ)


def prepare_ui(lab: Laboratory) -> dict[str, str]:
    """Make a laboratory ready for Dagster's UI with a daemon of its own.

    Returns:
        The environment in which it is to be started.

    Raises:
        OrchestrationError: a daemon is serving this laboratory already; two would do everything twice.
    """
    environment = prepare_home(lab)
    with dg.DagsterInstance.get() as instance:
        if daemon_is_running(instance):
            raise OrchestrationError(f"a Dagster daemon is serving {lab.data} already: use its UI, or stop it first")
        bury_dead_runs(instance)
    return environment


@dataclass(frozen=True)
class Daemon:
    """The daemon that works on what we ask for: our own process, or somebody else's (no process)."""

    process: subprocess.Popen | None = None
    log_path: Path | None = None

    def require(self) -> None:
        """Make sure that it has not died.

        Raises:
            OrchestrationError: our own daemon has ended.
        """
        if self.process is not None and self.process.poll() is not None:
            raise OrchestrationError(f"Dagster's daemon has ended; its log is {self.log_path}")


@dataclass
class Conductor:
    """An open line to Dagster: its records, and the code location that requests are addressed to."""

    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    daemon: Daemon

    def launch_job(
        self,
        job: str,
        *,
        partition: str | Mapping[str, str] | None = None,
        config: dict[str, Any] | None = None,
        priority: int = 0,
    ) -> str:
        """Queue one run of a job and return its id.

        Args:
            job: name of the job.
            partition: key, or for two dimensions the key of each by name.
            config: Dagster's run configuration; the assets' defaults if None.
            priority: runs of a higher one leave the queue first.
        """
        tags = {"dagster/priority": str(priority)}
        if isinstance(partition, str):
            tags["dagster/partition"] = partition
        elif partition is not None:
            tags |= {f"dagster/partition/{name}": key for name, key in partition.items()}
            tags["dagster/partition"] = str(dg.MultiPartitionKey(dict(partition)))
        answer = self._ask(
            _LAUNCH_RUN,
            {
                "params": {
                    "selector": {**_REPOSITORY, "pipelineName": job},
                    "mode": "default",
                    "runConfigData": config or {},
                    "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
                }
            },
        )
        return answer["launchRun"]["run"]["runId"]

    def launch_backfill(self, assets: Sequence[str], partitions: Sequence[str], title: str) -> str:
        """Queue a backfill of assets for the given partitions, as the UI's button does, and return its id."""
        answer = self._ask(
            _LAUNCH_BACKFILL,
            {
                "params": {
                    "assetSelection": [{"path": [name]} for name in assets],
                    "partitionNames": list(partitions),
                    "title": title,
                    "fromFailure": False,
                }
            },
        )
        return answer["launchPartitionBackfill"]["backfillId"]

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        answer = execute_query(self.workspace, query, variables)
        if answer.get("errors"):
            raise OrchestrationError("; ".join(str(error.get("message")) for error in answer["errors"]))
        data = answer["data"]
        (content,) = data.values()
        if "message" in content:
            raise OrchestrationError(content["message"])
        return data

    def runs_of_backfill(self, backfill_id: str) -> list[dg.DagsterRun]:
        """The runs that a backfill has started so far."""
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id})))

    def wait_for_runs(self, run_ids: Sequence[str], tick: Callable[[int], None] = lambda done: None) -> None:
        """Wait until runs have ended well; `tick` hears how many have.

        Raises:
            OrchestrationError: one failed or was cancelled.
        """
        waiting = list(run_ids)
        while waiting:
            for run in filter(None, map(self.instance.get_run_by_id, waiting)):
                if run.is_finished:
                    waiting.remove(run.run_id)
                    if not run.is_success:
                        ended = f"run {run.run_id} of {run.job_name} ended as {run.status.value}"
                        raise OrchestrationError(f"{ended}: {self.why(run.run_id)}")
            tick(len(run_ids) - len(waiting))
            self.daemon.require()
            time.sleep(_POLL_SECONDS)

    def wait_for_backfills(self, backfill_ids: Sequence[str], tick: Callable[[int], None] = lambda done: None) -> None:
        """Wait until backfills have ended well; `tick` hears how many of their runs have succeeded.

        Raises:
            OrchestrationError: a backfill or one of its runs failed or was cancelled.
        """
        while True:
            backfills = [self.instance.get_backfill(backfill_id) for backfill_id in backfill_ids]
            runs = [run for backfill_id in backfill_ids for run in self.runs_of_backfill(backfill_id)]
            tick(sum(run.is_success for run in runs))
            if not any(backfill is None or backfill.status in _BACKFILL_GOES_ON for backfill in backfills):
                break
            self.daemon.require()
            time.sleep(_POLL_SECONDS)
        failed = [f"{run.tags.get('dagster/partition')}: {self.why(run.run_id)}" for run in runs if not run.is_success]
        for backfill in backfills:
            if backfill and backfill.status is not BulkActionStatus.COMPLETED_SUCCESS:
                failed.append(
                    f"backfill {backfill.backfill_id} ended as {backfill.status.value} {backfill.error or ''}"
                )
        if failed:
            raise OrchestrationError("; ".join(failed))

    def is_made(self, asset: str, partition: str | None = None) -> bool:
        """Whether an asset, or one partition of it, has been materialised."""
        key = dg.AssetKey(asset)
        if partition is None:
            return self.instance.get_latest_materialization_event(key) is not None
        return partition in self.instance.get_materialized_partitions(key)

    def is_busy(self) -> bool:
        """Whether any run is queued or running."""
        return self.instance.get_runs_count(dg.RunsFilter(statuses=_UNFINISHED)) > 0

    def settle(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait until nothing is queued or running and no backfill has runs to start, whether it ended well or not."""
        while self.is_busy() or self.instance.get_backfills(filters=_UNFINISHED_BACKFILLS, limit=1):
            tick()
            self.daemon.require()
            time.sleep(_POLL_SECONDS)

    def failures_since(self, moment: float) -> list[dg.DagsterRun]:
        """Runs created after a moment (s since the epoch) that failed."""
        after = datetime.fromtimestamp(moment, tz=UTC)
        return list(self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], created_after=after)))

    def why(self, run_id: str) -> str:
        """The first failure that a run recorded, in one line."""
        for record in self.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records:
            event = record.event_log_entry.get_dagster_event()
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            if error:
                return error.message.strip()
        return "see the run's log in the UI (`icecore ui`)"


@contextlib.contextmanager
def conductor(lab: Laboratory) -> Iterator[Conductor]:
    """Open the laboratory's Dagster, with a daemon of our own for as long as no other one is running."""
    environment = prepare_home(lab)
    target = ModuleTarget(module_name=MODULE, attribute=None, working_directory=None, location_name=MODULE)
    with (
        dg.DagsterInstance.get() as instance,
        _daemon(instance, lab, environment) as daemon,
        WorkspaceProcessContext(instance, target) as workspace,
    ):
        yield Conductor(instance, workspace, daemon)


@contextlib.contextmanager
def _daemon(instance: dg.DagsterInstance, lab: Laboratory, environment: dict[str, str]) -> Iterator[Daemon]:
    if daemon_is_running(instance):
        log.info("using the Dagster daemon that is running")
        yield Daemon()
        return
    bury_dead_runs(instance)
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", MODULE]
    log_path = lab.dagster_home / "daemon.log"
    started = time.time()
    with log_path.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        while _last_heartbeat(instance) < started:
            if process.poll() is not None or time.time() > started + _DAEMON_START_SECONDS:
                raise OrchestrationError(f"Dagster's daemon did not start; its log is {log_path}")
            time.sleep(_POLL_SECONDS / 2)
        yield Daemon(process, log_path)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def bury_dead_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs that were going on when everything was killed as failed, so that they can be started again.

    To be called only while no daemon is running: then no process can be working on them.

    Returns:
        How many there were.
    """
    dead = instance.get_runs(dg.RunsFilter(statuses=_GOING_ON))
    for run in dead:
        instance.report_run_failed(run, "its process ended without a word, probably with the computer or the daemon")
    return len(dead)


def daemon_is_running(instance: dg.DagsterInstance) -> bool:
    """Whether some daemon serves this laboratory: one whose heart beat lately, and beats again while we look.

    The second look tells a running daemon from one that was killed a moment ago.
    """
    last = _last_heartbeat(instance)
    deadline = time.time() + _HEARTBEAT_SECONDS
    while last > time.time() - 2 * _HEARTBEAT_SECONDS:
        if _last_heartbeat(instance) > last:
            return True
        if time.time() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return False


def _last_heartbeat(instance: dg.DagsterInstance) -> float:
    """Time (s since the epoch) at which every daemon that is needed had last been heard of; 0 if one never was."""
    beats = instance.get_daemon_heartbeats()
    needed = instance.get_required_daemon_types()
    return min((beats[kind].timestamp if kind in beats else 0.0 for kind in needed), default=0.0)


_LAUNCH_RUN = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}
"""

_LAUNCH_BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
  }
}
"""
