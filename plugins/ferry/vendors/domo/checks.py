"""The mapping against what the instance has: types, accounts, candidates, and what earlier attempts have moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ferry.core.batch import MANIFEST
from ferry.core.exchange import Exchange
from ferry.core.findings import Level
from ferry.vendors.domo.manifest import DomoSection
from ferry.vendors.domo.mapping import Code, Item, MappingCheck
from ferry.vendors.domo.shapes import Account, Candidate, Candidates

if TYPE_CHECKING:
    from ferry.vendors.domo.api import DomoApi

UUID_DIGITS = 32
SEES = "A token sees what its user may see: if it should be there, look at that user's rights."
SET_UP = (
    "People create V2 accounts in Domo, once for each type: Data Center > DataSets > Federated > the type > Add New Account. "
    "Federated V2 must have been enabled for the instance by Domo first."
)


@dataclass(frozen=True, slots=True)
class Moved:
    """A datasource that an earlier attempt at the batch has moved to V2."""

    by: str
    account_id: str
    item: Item
    half_done: bool = False
    """Whether it was begun and not finished, so that nothing the list shows is to be believed."""

    def is_the_same(self, item: Item, account: Account) -> bool:
        """Whether it went where it is to go now."""
        return (self.account_id, self.item.coordinates) == (account.id, item.coordinates)


class InstanceCheck:
    """Collects everything in which mapping and instance differ, into the findings of the mapping."""

    def __init__(self, mapping: MappingCheck, section: DomoSection, earlier: Mapping[str, Moved]) -> None:
        self.mapping, self.section, self.earlier = mapping, section, earlier
        self._types: list[str] = []

    def account(self, api: DomoApi) -> Exchange[Account | None]:
        """The V2 account that the manifest names; None and a finding if there is no such one, or several."""
        told, self._types = self.section, (yield from api.types())
        if told.type not in self._types:
            message = f"The instance has no integration type {told.type!r}; it has {_listed(self._types)}."
            self._fault(Code.NO_TYPE, message, "type")
            return None
        accounts = yield from api.accounts(told.type)
        found = [one for one in accounts if told.account_id == one.id or (told.account_name and told.account_name == one.name)]
        if len(found) == 1:
            return found[0]
        shown = _listed([f"{one.id} ({one.name})" for one in accounts])
        if found:
            message = (
                f"{len(found)} accounts are named {told.account_name!r}: {', '.join(one.id for one in found)}. Name one by id."
            )
            self._fault(Code.ACCOUNT_AMBIGUOUS, message, "account_name")
            return None
        wanted = f"id {told.account_id!r}" if told.account_id else f"name {told.account_name!r}"
        elsewhere = yield from self._type_of_account(api)
        if elsewhere:
            message = f"The account with {wanted} is of type {elsewhere}, and the manifest says {told.type}."
            self._fault(Code.WRONG_ACCOUNT_TYPE, message, "type")
        else:
            hint = SEES if accounts else f"{SEES} {SET_UP}"
            message = f"The token's user sees no {told.type} account with {wanted}; it sees {shown}. {hint}"
            self._fault(Code.NO_ACCOUNT, message, "account_id" if told.account_id else "account_name")
        return None

    def place(self, items: Sequence[Item], account: Account, candidates: Candidates) -> list[Item]:
        """The items, with a word on those that need not be sent."""
        placed = []
        for item in items:
            there, known = candidates.get(item.id), self.earlier.get(item.id)
            if there is not None and known is not None and known.half_done:
                placed.append(self._unfinished(item, account, known))
            else:
                placed.append(item if there is None or not there.migrated else self._already(item, account, there))
        return placed

    def _unfinished(self, item: Item, account: Account, known: Moved) -> Item:
        """Left half-done before: it is sent, whatever the list shows."""
        if not known.is_the_same(item, account):
            message = (
                f"The datasource was left half-done by {known.by} with another account or other coordinates; the documented "
                "cure is the very same call."
            )
            self.mapping.at(item.id, Level.WARNING, Code.OTHER_COORDINATES, message)
        return replace(item, unfinished=known.by)

    def name_strangers(self, api: DomoApi, account: Account, candidates: Candidates, strangers: Sequence[str]) -> Exchange[None]:
        """Say of each id that the account cannot take why: another type's, misspelt, or known to nobody."""
        types = yield from self._types_of_others(api, account)
        spelt = {_plain(one): one for one in candidates}
        for datasource in strangers:
            if integration_type := types.get(datasource):
                message = f"The datasource is of type {integration_type}, and the batch is of {account.type}. Make two batches."
                self.mapping.at(datasource, Level.ERROR, Code.WRONG_TYPE, message)
                continue
            near = spelt.get(_plain(datasource))
            hint = f"There is {near}; ids are taken exactly as they stand, a leading F included." if near else SEES
            message = f"Account {account.id} has no candidate {datasource}. {hint}"
            self.mapping.at(datasource, Level.ERROR, Code.NOT_A_CANDIDATE, message)

    def _already(self, item: Item, account: Account, there: Candidate) -> Item:
        """Migrated before this attempt: by an earlier one, as the manifest says now or otherwise, or by somebody else."""
        when = f" on {there.date}" if there.date else ""
        known = self.earlier.get(item.id)
        if known:
            if known.is_the_same(item, account):
                message = f"The datasource was migrated by {known.by} already; nothing is sent for it."
                self.mapping.at(item.id, Level.NOTE, Code.ALREADY_MIGRATED, message)
                return replace(item, already=known.by)
            message = (
                f"The datasource was migrated by {known.by} to another account or with other coordinates. Reverse it first "
                "(reverse_domo)."
            )
            self.mapping.at(item.id, Level.ERROR, Code.OTHER_COORDINATES, message)
            return item
        by_others = f"The datasource was migrated{when}, not by this batch, and Domo does not tell to which table."
        if self.section.already_migrated == "accept":
            self.mapping.at(item.id, Level.WARNING, Code.ALREADY_MIGRATED, f"{by_others} It is left as it is.")
            return replace(item, already="others")
        message = f"{by_others} Take it out, or write `already_migrated: accept` if that is right as it is."
        self.mapping.at(item.id, Level.ERROR, Code.ALREADY_MIGRATED, message)
        return item

    def _type_of_account(self, api: DomoApi) -> Exchange[str]:
        """The other type to which the account belongs that was named by its id; empty if to none."""
        for other in self._types:
            if other != self.section.type and self.section.account_id:
                accounts = yield from api.accounts(other)
                if self.section.account_id in {one.id for one in accounts}:
                    return other
        return ""

    def _types_of_others(self, api: DomoApi, account: Account) -> Exchange[dict[str, str]]:
        """The type of every datasource that an account of another type could take."""
        found = dict[str, str]()
        for other in self._types:
            accounts = (yield from api.accounts(other)) if other != account.type else []
            if accounts:
                candidates = yield from api.candidates(accounts[0].id)
                found |= dict.fromkeys(candidates, other)
        return found

    def _fault(self, code: Code, message: str, column: str) -> None:
        self.mapping.into.add(Level.ERROR, code, message, file=MANIFEST, column=column)


def _plain(datasource: str) -> str:
    """An id as people confuse them: without its F, its case, and its dashes."""
    plain = datasource.casefold().replace("-", "")
    return plain[1:] if len(plain) == UUID_DIGITS + 1 and plain.startswith("f") else plain


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "") if names else "none"
