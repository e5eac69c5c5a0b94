"""The ledger: one append-only table whose constraints, not anybody's politeness, keep two writers apart."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

TABLE = """
CREATE TABLE ferry_ledger (
    vendor TEXT NOT NULL,
    environment TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    seq INTEGER NOT NULL CHECK (seq >= 1),
    at TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    input_hash TEXT NOT NULL,
    step TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('intent', 'result', 'look', 'adopted', 'asked', 'waived', 'verdict')),
    key TEXT NOT NULL,
    ref TEXT NOT NULL,
    word TEXT NOT NULL,
    state TEXT,
    verdict TEXT CHECK ((verdict IS NULL) = (kind <> 'verdict')),
    counts TEXT NOT NULL,
    note TEXT NOT NULL,
    evidence_path TEXT NOT NULL,
    evidence_hash TEXT NOT NULL,
    data TEXT NOT NULL,
    dag_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    try_number INTEGER NOT NULL,
    who TEXT NOT NULL,
    prev_hash TEXT NOT NULL CHECK (length(prev_hash) = 64),
    entry_hash TEXT NOT NULL UNIQUE CHECK (length(entry_hash) = 64),
    PRIMARY KEY (vendor, environment, batch_id, seq)
)
"""

INDEXES = (
    # The same attempt is opened once, the same thing intended once, whoever tries and however many try at once.
    """CREATE UNIQUE INDEX ferry_ledger_one_opening ON ferry_ledger (vendor, environment, batch_id, attempt)
    WHERE kind = 'intent' AND step = 'admit_batch'""",
    """CREATE UNIQUE INDEX ferry_ledger_one_intent ON ferry_ledger (vendor, environment, batch_id, attempt, step, key)
    WHERE kind = 'intent'""",
    # Both are read whenever places are counted and whenever the page lists batches.
    """CREATE INDEX ferry_ledger_starts ON ferry_ledger (vendor, environment, batch_id, attempt)
    WHERE kind = 'intent' AND step = 'start_run'""",
    """CREATE INDEX ferry_ledger_verdicts ON ferry_ledger (vendor, environment, batch_id, attempt, seq)
    WHERE kind = 'verdict'""",
)

SQLITE = (
    """CREATE TRIGGER ferry_ledger_no_update BEFORE UPDATE ON ferry_ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: nothing is updated'); END""",
    """CREATE TRIGGER ferry_ledger_no_delete BEFORE DELETE ON ferry_ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: nothing is deleted'); END""",
    """CREATE TRIGGER ferry_ledger_chained BEFORE INSERT ON ferry_ledger
    WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM ferry_ledger
        WHERE vendor = NEW.vendor AND environment = NEW.environment AND batch_id = NEW.batch_id)
    OR NEW.prev_hash <> coalesce((SELECT entry_hash FROM ferry_ledger WHERE vendor = NEW.vendor
        AND environment = NEW.environment AND batch_id = NEW.batch_id AND seq = NEW.seq - 1),
        '0000000000000000000000000000000000000000000000000000000000000000')
    BEGIN SELECT RAISE(ABORT, 'the ledger is a chain: an entry follows the last one of its batch'); END""",
)

POSTGRESQL = (
    """CREATE FUNCTION ferry_ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING MESSAGE = 'the ledger is append-only, refused: ' || TG_OP,
            ERRCODE = 'integrity_constraint_violation';
    END $$""",
    """CREATE FUNCTION ferry_ledger_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        head RECORD;
    BEGIN
        SELECT seq, entry_hash INTO head FROM ferry_ledger
        WHERE vendor = NEW.vendor AND environment = NEW.environment AND batch_id = NEW.batch_id
        ORDER BY seq DESC LIMIT 1;
        IF NEW.seq <> coalesce(head.seq, 0) + 1 OR NEW.prev_hash <> coalesce(head.entry_hash, repeat('0', 64)) THEN
            RAISE EXCEPTION USING MESSAGE = 'the ledger is a chain: an entry follows the last one of its batch',
                ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER ferry_ledger_append_only BEFORE UPDATE OR DELETE ON ferry_ledger
    FOR EACH ROW EXECUTE FUNCTION ferry_ledger_refuse()""",
    """CREATE TRIGGER ferry_ledger_no_truncate BEFORE TRUNCATE ON ferry_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ferry_ledger_refuse()""",
    """CREATE TRIGGER ferry_ledger_chained BEFORE INSERT ON ferry_ledger
    FOR EACH ROW EXECUTE FUNCTION ferry_ledger_follow()""",
)


def upgrade() -> None:
    """Create the table, its constraints, and the triggers that forbid changing what is in it."""
    triggers = POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in (TABLE, *INDEXES, *triggers):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """The ledger forgets nothing, so there is no way back."""
    raise NotImplementedError("the ledger is append-only; restore a backup of the database instead")
