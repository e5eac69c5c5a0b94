"""DMM's words: every name on the wire in one place, because most of them are our assumption and may have to be corrected."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from ferry.core.model import RunState

BASE_PATH = "/DMMAPI/rest/v1"  # [A]; the connection's `base_path` replaces it
KEY, PASSWORD = "X-DMM-Token", "X-DMM-Token-OTP"  # headers [D]

CREATE_CONNECTION, START, STOP = "CreateConnection", "StartExecution", "StopExecution"  # names [D], POST [A]
STATUS, OUTPUTS = "GetExecutionStatus", "GetExecutionOutputs"  # names [D], GET with a query [A]

ID = "MainExecutionTrackerId"  # as an answer's field [D], as a parameter [A]
TYPE, CONFIGURATION, ZIP_FILE = "Type", "Configuration", "ZipFile"  # [D], [A], [A]
SUCCESS, ERROR_MESSAGE, STATUS_FIELD = "Success", "ErrorMessage", "Status"  # [D2]
REPORT, LOGS, LOG_PAGES, ERROR_REPORT = "Report", "Logs", "LogNumPages", "ErrorReport"  # [D2]
INCLUDE_REPORTS, INCLUDE_LOGS, LOG_RECORDS, LOG_PAGE = "IncludeReports", "IncludeLogs", "LogRecords", "LogPage"  # [D]
INCLUDE_FILES, INCLUDE_ERRORS = "IncludeFiles", "IncludeErrorReport"  # [D2]
FIRST_LOG_PAGE = 1  # [A]
LOG_LINES = 200
"""Lines we ask of one page of the log; DMM's own default is 10 [D]."""

RUNTIME_CONNECTION = "Runtime Connection"  # [D2] the environment that DMM runs in
DESTINATION, APPEND = "DestinationDBConnection", "DataAppendMode"  # [D2] of a migration, [A] of an import

STRUCT, DATA, SYSTEM = "_Struct.dmm", "_Data.csv", "ossys_"  # names in a data zip [D2]

NOT_FOUND = "NotFound"  # [D2]
STATES = MappingProxyType(
    {
        "Queued": RunState.QUEUED,
        "InProgress": RunState.RUNNING,
        "Complete": RunState.SUCCEEDED,  # partly, if there is an error report [A]: only the outputs tell
        "InError": RunState.FAILED_DIRTY,  # an import is no transaction [D]; clean only if every counter is 0 [A]
    }
)
"""The words of an execution [D2]; any other is watched until patience runs out [A]."""


class ExecutionType(StrEnum):
    """What an execution does [D2]."""

    IMPORT = "Import"
    EXPORT = "Export"
    MIGRATION = "Migration"
    DELETE = "Delete"
    SCRAMBLE = "Scramble"


IRREVERSIBLE = MappingProxyType(
    {
        ExecutionType.IMPORT: "An import that is stopped, or fails, leaves in place what got in.",  # [D]
        ExecutionType.MIGRATION: "A migration that is stopped, or fails, leaves in place what got in.",  # [D]
        ExecutionType.DELETE: "Deleted records come back from a backup only.",  # [A]
        ExecutionType.SCRAMBLE: "Scrambling cannot be undone.",  # [D2]
    }
)
"""What a person must know before they give a password."""
