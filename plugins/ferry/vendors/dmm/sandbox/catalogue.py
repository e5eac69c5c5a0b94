"""The made-up records with which both environments begin."""

from __future__ import annotations

from datetime import datetime, timedelta

from ferry.vendors.dmm.sandbox.cells import text_cell
from ferry.vendors.dmm.sandbox.tables import Table, Tables

SOURCE, TARGET = "source", "target"
RUNTIME = "Runtime Connection"
"""The built-in connection, by its exact name [D2]."""
CUSTOMERS, PRODUCTS = 120, 80
USERS = {SOURCE: 6, TARGET: 3}
FIRST = datetime(2031, 2, 3, 4, 5, 6)  # noqa: DTZ001  # the vendor's times have no zone [A]

COLOURS = ("Blue", "Grün", "Señal", "Ochre", "Crème", "Łosoś")
THINGS = ('Van "Nine"', "Kettle, Iron", "O'Mara's Oar", "Straße & Sohn", "Bell", "Lantern", 'Wheel, "Big", d\'Or')
PEOPLE = ("Zoë Made-Up", "Jörg Erfunden", "Ana d'Inventada", "Piotr Zmyślony", "Nobody, Ann", "Max Muster")


def first_day() -> dict[str, Tables]:
    """Everything the two environments hold before anybody has done anything."""
    source = Tables(ossys_User=_users(SOURCE), Customer=customers(), Product=_products())
    return {SOURCE: source, TARGET: Tables(ossys_User=_users(TARGET))}


def customers() -> Table:
    """A hundred and twenty customers; some names bear commas, quotes and umlauts."""
    table = Table(("Id", "Code", "Name", "CreatedOn"))
    for number in range(1, CUSTOMERS + 1):
        created = FIRST + timedelta(hours=7 * number)
        cells = (str(number), text_cell(f"C-{number:04}"), text_cell(_name(number)), created.isoformat())
        table.append((0, 1, 2, 3), cells)
    return table


def _products() -> Table:
    table = Table(("Id", "Code", "Name", "Price"))
    for number in range(1, PRODUCTS + 1):
        price = f"{number * 3}.{number * 7 % 100:02}"
        table.append((0, 1, 2, 3), (str(number), text_cell(f"P-{number:03}"), text_cell(f"Sample {_name(number)}"), price))
    return table


def _users(environment: str) -> Table:
    table = Table(("Id", "Name", "Username", "Email", "Is_Active"))
    for number in range(USERS[environment]):
        login = f"{environment}.user{number + 1}"
        told = (text_cell(PEOPLE[number]), text_cell(login), text_cell(f"{login}@example.test"), str(number % 3 != 2))
        table.append((1, 2, 3, 4), told)
    return table


def _name(number: int) -> str:
    return f"{COLOURS[number % len(COLOURS)]} {THINGS[number % len(THINGS)]} {number}"
