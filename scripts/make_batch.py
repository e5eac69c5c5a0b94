"""Fenergo batches from real legal entities: the demo batches, or one of any size.

    python scripts/make_batch.py 40000                     include/batches/fenergo/clients-40000
    python scripts/make_batch.py 40000 --errors 35000      the same with 35,000 planted faults, which the vendor finds
    python scripts/make_batch.py --demo                    the demo batches, byte for byte as they are committed

Names, LEIs, countries and categories are GLEIF's; people, addresses, dates, business lines and shares are made up.
The same arguments always give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from ferry.core.batch import BATCH_ID

ROOT = Path(__file__).resolve().parent.parent
BATCHES = ROOT / "include" / "batches"
REGISTER = BATCHES / "gleif" / "gleif_companies_40k.csv.gz"

COMPANY = (
    "alternateId",
    "legalEntityName",
    "countryOfIncorporation",
    "entityCategory",
    "dateOfIncorporation",
    "businessLines",
    "leiCode",
)
INDIVIDUAL = ("alternateId", "title", "firstName", "lastName", "dateOfBirth", "nationality")
ADDRESS = ("alternateId", "parentAlternateId", "addressType", "line1", "city", "postalCode", "country")
ASSOCIATION = ("alternateId", "sourceAlternateId", "targetAlternateId", "associationType", "ownershipPercentage")

LINES = ("Leasing", "Transport", "Retail", "Banking", "Insurance", "Technology", "Manufacturing", "Energy")
TITLES = ("Mr", "Mrs", "Ms", "Dr", "Prof")
FIRST = ("Zoë", "Piotr", "Amina", "Łucja", "Søren", "Mária", "Dylan", "Yuki", "Nguyễn", "Chiara", "Óscar", "Ada", "Ivan", "Noor")
LAST = (
    "Ngũgĩ",
    "Żak",
    "O'Brien",
    "Müller",
    "García-Ruiz",
    "Tanaka",
    "Ólafsdóttir",
    "van der Meer",
    "Смирнова",
    "Dupont",
    "Smith",
)
STREETS = ("Harbour Road", "ul. Kwiatowa", "Rue de l'Église", "Bahnhofstraße", "Calle Mayor", "Main Street", "Nørregade")
CITIES = ("Riverton", "Łęczyn", "Saint-Élan", "Altstädten", "Villanueva", "Sønderby")
ROLES = ("Director", "Shareholder", "UltimateBeneficialOwner")

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Entity:
    """One real legal entity of the register."""

    lei: str
    name: str
    country: str
    category: str


GLEIF = Entity("506700GE1G29325QX363", "Global Legal Entity Identifier Foundation", "CH", "GENERAL")


def read_register() -> list[Entity]:
    """All entities, in the register's order, with countries as ISO 3166 has them.

    Namibia's code NA reads as empty in the file, so it is put back. XK (Kosovo) is no ISO code, so no lookup of ISO codes
    has it; the keeper of the register stands in for the one entity there.
    """
    with gzip.open(REGISTER, "rt", encoding="utf-8", newline="") as file:
        entities = [
            Entity(row["lei"], row["legal_name"], row["country"] or "NA", row["category"]) for row in csv.DictReader(file)
        ]
    return [GLEIF if entity.country == "XK" else entity for entity in entities]


def chance(*about: object) -> random.Random:
    """Dice that always fall the same way for the same thing, however large the batch around it is."""
    return random.Random(":".join(str(part) for part in about))  # noqa: S311 (made-up data, no secret)


def spread(entities: Sequence[Entity], rows: int) -> list[Entity]:
    """So many entities, evenly over the whole register: every country and spelling has its chance."""
    return [entities[place * len(entities) // rows] for place in range(rows)]


def company(entity: Entity) -> list[str]:
    """An entity as a row of table Company."""
    dice = chance("company", entity.lei)
    founded = date(1950, 1, 1) + timedelta(days=dice.randrange(26_000))
    lines = "|".join(sorted(dice.sample(LINES, dice.choice((0, 1, 1, 2, 3)))))
    return [entity.lei, entity.name, entity.country, entity.category, founded.isoformat(), lines, entity.lei]


def individual(number: int) -> list[str]:
    """A made-up person."""
    dice = chance("person", number)
    born = date(1940, 1, 1) + timedelta(days=dice.randrange(22_000))
    nation = dice.choice(("IE", "PL", "FR", "DE", "ES", "DK", "JP", "NA", "US", "GB"))
    return [f"DEMO-P-{number:06}", dice.choice(TITLES), dice.choice(FIRST), dice.choice(LAST), born.isoformat(), nation]


def address(entity: Entity) -> list[str]:
    """A made-up registered address of a real entity, in its country."""
    dice = chance("address", entity.lei)
    line = f"{dice.choice(STREETS)} {dice.randrange(1, 400)}"
    if dice.random() < 0.1:
        line += ', Gate "B"'
    place = (dice.choice(CITIES), f"{dice.randrange(1_000, 99_999):05}", entity.country)
    return [f"DEMO-A-{entity.lei}", entity.lei, dice.choice(("Registered", "Registered", "Trading")), line, *place]


def association(number: int, source: str, target: str, roles: Sequence[str] = ROLES) -> list[str]:
    """A made-up link between two records; directors own nothing."""
    dice = chance("association", number, source, target)
    role = dice.choice(roles)
    share = "" if role == "Director" else f"{dice.randrange(1, 1000) / 10:g}"
    return [f"DEMO-R-{number:06}", source, target, role, share]


class Folder:
    """The batch under construction: files as they are written are named in its manifest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: list[tuple[str, str]] = []
        path.mkdir(parents=True, exist_ok=True)

    def table(self, name: str, table: str, header: Row, rows: Iterable[Row]) -> None:
        """Write one table's file, every value in quotes as the vendor documents it."""
        self._csv(name, header, rows)
        self._files.append((name, table))

    def alternate_ids(self, rows: Iterable[Row]) -> None:
        """Write the file that gives alternate ids to records made by hand."""
        self._csv("alternate_ids.csv", ("tableName", "alternateId", "fenxId"), rows)

    def manifest(self, title: str, due: date, section: Sequence[str] = (), why: Sequence[str] = ()) -> None:
        """Write the manifest: comment lines, then what every batch says, then the vendor's section."""
        lines = [f"# {line}" for line in why]
        lines += ["vendor: fenergo", f"title: {title}", f"due: {due.isoformat()}", "connection: fenergo_default"]
        lines += ["fenergo:", "  jurisdiction: Migration", *(f"  {line}" for line in section), "files:"]
        lines += [f"  - {{path: {name}, table: {table}}}" for name, table in self._files]
        (self.path / "manifest.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _csv(self, name: str, header: Row, rows: Iterable[Row]) -> None:
        with (self.path / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)


def with_faults(rows: Iterable[list[str]], total: int, faults: int) -> Iterator[list[str]]:
    """Companies of which so many cells are wrong, evenly spread: an odd date, an unknown category, no name."""
    wrong = ((4, "17.03.98"), (3, "CHARITY"), (1, ""))
    turns = [min(max(faults - turn * total, 0), total) for turn in range(len(wrong))]
    for number, row in enumerate(rows):
        for turn, share in enumerate(turns):
            if (number + 1) * share // total > number * share // total:
                place, value = wrong[(number + turn) % len(wrong)]
                row[place] = value
        yield row


def make(path: Path, title: str, rows: int, due: date, faults: int = 0) -> None:
    """A batch of so many companies, an address each, a person for every fifth, and their links."""
    register = read_register()
    entities = spread(register, rows)
    dashed = next(entity for entity in register if entity.name.startswith("-"))
    if rows >= 100 and dashed not in entities:
        entities[rows // 2] = dashed  # a name that a spreadsheet would take for a formula
    people = rows // 5
    folder = Folder(path)
    folder.table("company.csv", "Company", COMPANY, with_faults(map(company, entities), rows, faults))
    folder.table("individual.csv", "Individual", INDIVIDUAL, map(individual, range(1, people + 1)))
    folder.table("addresses.csv", "Addresses", ADDRESS, map(address, entities))
    folder.table("association.csv", "Associations", ASSOCIATION, links(entities, people))
    section = ["checks: report"] if faults else ["references: batch_only"]
    why = [f"{faults:,} faults are planted. `checks: report` lets the vendor find them, too."] if faults else []
    folder.manifest(title, due, section, why)


def links(entities: Sequence[Entity], people: int) -> Iterator[list[str]]:
    """Every person has a role in a company; half as many companies hold shares of another."""
    for number in range(1, people + 1):
        target = entities[number * 4 % len(entities)]
        yield association(number, f"DEMO-P-{number:06}", target.lei)
    for number in range(people // 2):
        source, target = entities[number], entities[-1 - number]
        yield association(people + 1 + number, source.lei, target.lei, ("Shareholder",))


def make_refused(path: Path) -> None:
    """A small batch that the vendor refuses: faults the local checks report, and one that only the vendor can know."""
    entities = spread(read_register(), 31)
    companies = [company(entity) for entity in entities]
    companies[6][4] = companies[19][4] = "17.03.98"
    people = [individual(number) for number in range(700_001, 700_007)]
    people[1][1] = people[4][1] = "Mister"
    addresses = [address(entity) for entity in entities[:4]]
    addresses[2][1] = "DEMO-C-NOT-THERE"
    folder = Folder(path)
    folder.table("company.csv", "Company", COMPANY, companies)
    folder.table("individual.csv", "Individual", INDIVIDUAL, people)
    folder.table("addresses.csv", "Addresses", ADDRESS, addresses)
    why = [
        "Five faults are planted: two dates, two titles that the lookup has not, one address of a company nobody knows.",
        "`checks: report` lets the migration start in spite of the first four, to show how a refusal is worked through;",
        "with the default, `checks: strict`, they would stop the batch before it is sent. The fifth only the vendor can know.",
    ]
    folder.manifest("41 records of which the vendor refuses five", date(2026, 1, 2), ["checks: report"], why)


def make_refused_early(path: Path) -> None:
    """A small batch that never leaves the house: an alternateId twice, and one that is empty."""
    companies = [company(entity) for entity in spread(read_register(), 12)]
    companies[7][0] = companies[2][0]
    companies[9][0] = ""
    folder = Folder(path)
    folder.table("company.csv", "Company", COMPANY, companies)
    why = ["An alternateId stands twice and one is missing: the checks stop this batch before anything is created at the vendor."]
    folder.manifest("12 companies that are stopped before anything is sent", date(2026, 1, 3), (), why)


def make_alternate(path: Path) -> None:
    """Companies owned by three others that somebody made by hand at the vendor, without alternate ids."""
    entities = spread(read_register(), 203)
    owners, owned = entities[100:103], entities[:100] + entities[103:]
    fenx = {owner.lei: str(uuid5(NAMESPACE_URL, f"https://ferry.invalid/hand-made/{owner.lei}")) for owner in owners}
    folder = Folder(path)
    folder.table("company.csv", "Company", COMPANY, map(company, owned))
    held = ((800_000 + n, owners[n % 3].lei, entity.lei) for n, entity in enumerate(owned[:45]))
    folder.table("association.csv", "Associations", ASSOCIATION, (association(*link, ("Shareholder",)) for link in held))
    folder.alternate_ids(("Company", lei, fenx_id) for lei, fenx_id in fenx.items())
    records = [{"tableName": "Company", "name": owner.name, "fenxId": fenx[owner.lei]} for owner in owners]
    text = json.dumps(records, ensure_ascii=False, indent=2)
    (path / "hand_made.json").write_text(text + "\n", encoding="utf-8")
    why = [
        "The shareholders were made by hand at the vendor and have no alternate ids yet, so the first attempt is refused.",
        "`alternate_ids` names them: Ferry ingests it and tries once more.",
    ]
    section = ["alternate_ids: alternate_ids.csv"]
    folder.manifest("200 companies owned by companies made by hand", date(2026, 1, 3), section, why)


def make_demo(root: Path) -> None:
    """All demo batches."""
    make(root / "clients-good", "3,000 companies with addresses, people and their links", 3_000, date(2026, 1, 1))
    make_refused(root / "clients-refused")
    make_refused_early(root / "clients-refused-early")
    make_alternate(root / "clients-alternate")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("rows", type=int, nargs="?", default=40_000, help="companies, 5 to 40000 (default 40000)")
    parser.add_argument("--errors", type=int, default=0, help="faults to plant, at most three a company")
    parser.add_argument("--id", help="batch id (default clients-ROWS)")
    parser.add_argument("--folder", type=Path, default=BATCHES, help="where batches lie (default include/batches)")
    parser.add_argument("--due", type=date.fromisoformat, default=date(2026, 1, 4), help="due date (default 2026-01-04)")
    parser.add_argument("--demo", action="store_true", help="write the demo batches instead")
    given = parser.parse_args()
    if given.demo:
        make_demo(given.folder / "fenergo")
        return
    if not 5 <= given.rows <= 40_000 or not 0 <= given.errors <= 3 * given.rows:
        sys.exit("rows must be 5 to 40000, for the register has 40,000 entities, and errors at most three times as many.")
    batch_id = given.id or f"clients-{given.rows}" + (f"-{given.errors}-errors" if given.errors else "")
    if not BATCH_ID.fullmatch(batch_id):
        sys.exit(f"{batch_id!r} is no batch id: lowercase letters, digits, '.', '_' and '-', at most 100.")
    path = given.folder / "fenergo" / batch_id
    faulty = f", {given.errors:,} faults" if given.errors else ""
    make(path, f"{given.rows:,} companies with addresses, people and their links{faulty}", given.rows, given.due, given.errors)
    print(path)


if __name__ == "__main__":
    main()
