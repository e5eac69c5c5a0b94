"""Whole batches through MicroStrategy's DAGs against the sandbox: migrations, groups, edits, certifications, undo."""

from libraries import AUTO, CONFIGURATION, FINANCE, MIGRATE, SALES, UNDO

from ferry.ledger.entries import Verdict


def test_a_migration_is_made_approved_imported_and_balances(libraries, driver):
    libraries.migration()
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    libraries.holds()
    last = libraries.last()
    assert (last.verdict, last.counts.sent) == (Verdict.BALANCED, 2)


def test_a_group_is_made_imported_and_balances(libraries, driver):
    libraries.group()
    run = driver.play(MIGRATE, batch_id="b")
    assert run.state == "success", run.messages
    libraries.holds()
    assert libraries.last().counts.accepted == 4
