"""What the processes of a run must agree on, and what they tell each other of unreadable data."""

from __future__ import annotations

from pathlib import Path

from effvit_edge.core.errors import InputError
from effvit_edge.data.failures import describe_failures
from effvit_edge.data.types import RunSequences, TrainingClips
from effvit_edge.train.distributed import Group
from effvit_edge.train.resume import SavedRun
from effvit_edge.train.unrecorded import Recording


def check_alike(group: Group, folder: Path, saved: SavedRun | None, clips: TrainingClips) -> None:
    """Hold all processes to the same beginning: other clips or steps would part them for good.

    Args:
        group: the processes.
        folder: of the run.
        saved: what this process goes on from.
        clips: what this process trains on.

    Raises:
        InputError: one of them sees another run, or could read other videos.
    """
    step = saved.state.facts["counters"]["step"] if saved else None
    found = group.gather((step, clips.epoch_clips, dict(clips.failed.by_name)))
    error = None
    for rank, (other_step, other_clips, other_failed) in enumerate(found):
        failed = found[0][2]
        if other_step != found[0][0]:
            error = InputError(
                f"Processes 0 and {rank} do not see the same run in {folder}. With several "
                f"machines, output.folder must be on a disk that all of them share."
            )
        elif odd := sorted(failed.keys() ^ other_failed.keys()):
            reason = failed.get(odd[0]) or other_failed[odd[0]]
            error = InputError(
                f"One of processes 0 and {rank} could read {odd[0]}, and the other could not: "
                f"{reason} Start again; if it comes again, take it off the list."
            )
        elif other_clips != found[0][1]:
            error = InputError(
                f"Process 0 has {found[0][1]} training clips and process {rank} has "
                f"{other_clips}. Give all machines the same data."
            )
        if error is not None:
            raise group.agreed(error)


class LeftOut:
    """What the processes of a run could not read, gathered whenever all of them meet.

    Args:
        clips: what this process trains on.
        sequences: what it evaluates on.
        group: the processes.

    Attributes:
        failures: the sentences so far, each once.
    """

    def __init__(self, clips: TrainingClips, sequences: RunSequences, group: Group) -> None:
        self.failures: list[str] = []
        self._clips = clips
        self._sequences = sequences
        self._group = group

    def tell(self, recorder: Recording) -> None:
        """Record and say what is new.

        Raises:
            InputError: all processes together had to leave out too much.
        """
        told = self._group.gather([*self._clips.failures, *self._sequences.failures])
        known = dict.fromkeys(failure for failures in told for failure in failures)
        before = set(self.failures)
        new = [failure for failure in known if failure not in before]
        if new:
            self.failures += new
            recorder.note({"failures": new})
            recorder.say(describe_failures(new))
        try:
            for kind in (self._clips.failed, self._sequences.failed):
                for failed in self._group.gather(kind.by_name):
                    kind.include(failed)
        except InputError as error:
            raise self._group.agreed(error) from error
