"""The reports of GetExecutionStatus and GetExecutionOutputs: of one name, and different (contract 3.4, 3.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ferry.vendors.dmm.sandbox.execution import IN_ERROR, Execution, Part, local_time
from sandbox.switches import Switches

NULL_DATE = "1900-01-01 00:00:00"  # [P]
NO_TIME = {"empty": "", "null": None, "null_date": NULL_DATE}


def heading(status: str) -> dict[str, Any]:
    """What every answer about an execution begins with. `Result` is OK for whatever is not InError [D2]."""
    return {"Status": status, "Result": "ERROR" if status == IN_ERROR else "OK", "Success": True, "ErrorMessage": ""}


def status_report(execution: Execution, now: float, switches: Switches) -> dict[str, Any]:
    """The counters and the message as they are now."""
    seconds = _seconds(execution, now)
    text, kind = execution.message
    message = {"MessageText": text, "MessageType": kind}
    return {
        "ElapsedTime": _clock(seconds),
        **_times(execution, switches.text("no_end_as")),
        "TotalDuration": seconds,
        **_counters(execution, switches),
        "Message": [message] if switches.text("message_as") == "list" else message,
    }


def outputs_report(execution: Execution, switches: Switches) -> dict[str, Any]:
    """What is told of an execution that has ended."""
    counted = execution.counted(system=switches.flag("counts_system"))
    assert execution.ended is not None
    begun = execution.accepted if execution.began is None else execution.began
    return {
        "ConfigurationType": execution.order.type,
        "ExecutionDate": local_time(begun),
        "ExecutionDuration": _clock(_seconds(execution, execution.ended)),
        "BPTDataVolume": 0,
        "DataVolume": _kilobytes(counted),
        "NBPTRecords": 0,
        "NInstructions": sum(part.chunks_completed for part in execution.parts),
        "NRecords": sum(part.completed for part in counted),
    }


def error_report(execution: Execution) -> list[dict[str, str]]:
    """One object for each entity in error; the number of its chunks is quoted, as in the documentation [D2]."""
    return [
        {
            "FinalReportEntity": entity,
            "FinalReportError": one.error,
            "FinalReportStacktrace": one.trace,
            "FinalReportTip": one.tip,
            "FinalReportMoment": local_time(one.moment),
            "Count": str(one.count),
        }
        for (entity, _), one in execution.troubles.items()
    ]


def _counters(execution: Execution, switches: Switches) -> dict[str, int]:
    """Records, and as instructions the chunks, those of system tables always: what they did is done."""
    counted = execution.counted(system=switches.flag("counts_system"))
    grow = switches.flag("totals_grow")
    return {
        "CompletedRecords": sum(part.completed for part in counted),
        "TotalRecords": sum(part.total for part in counted if part.begun or not grow),
        "CompletedInstructions": sum(part.chunks_completed for part in execution.parts),
        "TotalInstructions": sum(part.chunks for part in execution.parts if part.begun or not grow),
        "CompletedBPTRecords": 0,
        "TotalBPTRecords": 0,
        "CompletedBPTVolume": 0,
        "TotalBPTVolume": 0,
        "TotalVolumeKBs": _kilobytes(counted),
    }


def _times(execution: Execution, no_time: str) -> dict[str, str | None]:
    times = {"StartedAt": execution.began, "EndedAt": execution.ended}
    told = {name: NO_TIME.get(no_time) if at is None else local_time(at) for name, at in times.items()}
    return {name: text for name, text in told.items() if times[name] is not None or no_time != "absent"}


def _seconds(execution: Execution, now: float) -> int:
    if execution.began is None:
        return 0
    return int((now if execution.ended is None else execution.ended) - execution.began)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _kilobytes(parts: Iterable[Part]) -> int:
    return -(-sum(part.volume for part in parts) // 1024)
