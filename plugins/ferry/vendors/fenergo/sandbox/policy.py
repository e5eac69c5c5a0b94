"""The invented policy of the sandbox tenant: its tables, fields and lookups. Real ones come from the tenant's own policy [D]."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KEY = "alternateId"
PARENT = "parentAlternateId"
JURISDICTION = "Migration"
PRODUCT_JURISDICTION = "Global"

# ISO 3166-1 alpha-2, all 249 officially assigned codes.
COUNTRIES = tuple(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA
    GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS
    MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS
    RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW
    TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()  # noqa: SIM905  # 249 lines would hide the policy
)

LOOKUPS: dict[str, tuple[str, ...]] = {
    "Country": COUNTRIES,
    "Entity Category": (
        "GENERAL",
        "FUND",
        "BRANCH",
        "SOLE_PROPRIETOR",
        "RESIDENT_GOVERNMENT_ENTITY",
        "INTERNATIONAL_ORGANIZATION",
    ),
    "Business Line": (
        "Leasing",
        "Transport",
        "Retail",
        "Banking",
        "Insurance",
        "Technology",
        "Manufacturing",
        "Energy",
    ),
    "Title": ("Mr", "Mrs", "Ms", "Dr", "Prof"),
    "Address Type": ("Registered", "Trading", "Correspondence"),
    "Association Type": ("Shareholder", "Director", "UltimateBeneficialOwner"),
    "Product Type": ("Current Account", "Loan", "Custody"),
    "Product Status": ("Active", "Closed"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column. `kind` is text, date, lookup, multi (several lookup values), percent or reference (to `refers_to` tables)."""

    name: str
    kind: str = "text"
    required: bool = False
    lookup: str = ""
    refers_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV target. `kind` is entity, group (rows belonging to an entity), product or association."""

    name: str
    kind: str
    fields: tuple[Field, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The template's header."""
        return tuple(field.name for field in self.fields)

    @property
    def references(self) -> tuple[Field, ...]:
        """The columns that name other records, at most two."""
        return tuple(field for field in self.fields if field.refers_to)


ENTITIES = ("Company", "Individual")
PARTIES = (*ENTITIES, "Entity Group")  # what an association or a product may name; groups exist only as hand-made records
_KEY = Field(KEY, required=True)
_PERCENT = Field("ownershipPercentage", "percent")

# In the vendor's order of processing: roots, data groups, products, associations last [D in part].
TABLES = (
    Table(
        "Company",
        "entity",
        (
            _KEY,
            Field("legalEntityName", required=True),
            Field("countryOfIncorporation", "lookup", required=True, lookup="Country"),
            Field("entityCategory", "lookup", lookup="Entity Category"),
            Field("dateOfIncorporation", "date"),
            Field("businessLines", "multi", lookup="Business Line"),
            Field("leiCode"),
        ),
    ),
    Table(
        "Individual",
        "entity",
        (
            _KEY,
            Field("title", "lookup", lookup="Title"),
            Field("firstName", required=True),
            Field("lastName", required=True),
            Field("dateOfBirth", "date"),
            Field("nationality", "lookup", lookup="Country"),
        ),
    ),
    Table(
        "Addresses",
        "group",
        (
            _KEY,
            Field(PARENT, "reference", required=True, refers_to=ENTITIES),
            Field("addressType", "lookup", lookup="Address Type"),
            Field("line1", required=True),
            Field("city"),
            Field("postalCode"),
            Field("country", "lookup", lookup="Country"),
        ),
    ),
    Table(
        "Products",
        "product",
        (
            _KEY,
            Field("ownerAlternateId", "reference", required=True, refers_to=PARTIES),
            Field("productType", "lookup", lookup="Product Type"),
            Field("status", "lookup", lookup="Product Status"),
        ),
    ),
    Table(
        "Associations",
        "association",
        (
            _KEY,
            Field("sourceAlternateId", "reference", required=True, refers_to=PARTIES),
            Field("targetAlternateId", "reference", required=True, refers_to=PARTIES),
            Field("associationType", "lookup", lookup="Association Type"),
            _PERCENT,
        ),
    ),
)

# [D] The five names an ingestion file may carry, and the table each one means here.
INGESTION_TABLES = {
    "Company": "Company",
    "Individual": "Individual",
    "Entity Group": "Entity Group",
    "Product": "Products",
    "Association": "Associations",
}


def tables_for(jurisdictions: Iterable[str], product_jurisdiction: str | None) -> dict[str, Table] | None:
    """The tables of a migration, or None if the tenant has no policy for what was asked."""
    asked = list(jurisdictions)
    if any(name != JURISDICTION for name in asked) or product_jurisdiction not in (None, "", PRODUCT_JURISDICTION):
        return None
    if not asked and not product_jurisdiction:
        return None
    return {table.name: table for table in TABLES if table.kind != "product" or product_jurisdiction}


def template(table: Table) -> bytes:
    """A table's CSV template: its header, quoted as every value must be [D]."""
    return (",".join(f'"{name}"' for name in table.columns) + "\n").encode()
