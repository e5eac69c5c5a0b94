"""What a Fenergo batch says about itself beside its files. Every guess of ours about the vendor is a setting here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ferry.core.batch import BatchFile, Section

ISO_8601 = "iso8601"


def _known_format(text: str) -> str:
    if text != ISO_8601 and "%" not in text:
        raise ValueError(f"must be {ISO_8601!r} or a strftime pattern such as '%d.%m.%Y'")
    return text


class FenergoSection(Section):
    """The `fenergo:` section of a manifest."""

    jurisdiction: Annotated[str, Field(min_length=1, description="Policy the migration is made for; often 'Migration' [D]")]
    product_jurisdiction: Annotated[
        str | None,
        Field(default=None, min_length=1, description="Product requirement set, such as 'Global', for batches with products [D]"),
    ]
    alternate_ids: Annotated[
        BatchFile | None,
        Field(
            default=None,
            description="CSV tableName,alternateId,fenxId: gives alternate ids to records that were made by hand at the vendor. "
            "Used by the failure branch when the run was refused for references that did not resolve",
        ),
    ]
    checks: Annotated[
        Literal["strict", "report"],
        Field(
            default="strict",
            description="'strict': a finding of level error stops the batch before anything is sent. 'report': it is reported "
            "and the vendor decides; only faults without which records could not be accounted for still stop the batch",
        ),
    ]
    references: Annotated[
        Literal["vendor_may_know", "batch_only"],
        Field(
            default="vendor_may_know",
            description="A reference to a record that is not in the batch: 'vendor_may_know' warns (an earlier migration may "
            "have brought it [D]), 'batch_only' makes it an error (a first migration into an empty tenant)",
        ),
    ]
    on_failed_counters: Annotated[
        Literal["fail", "warn"],
        Field(default="fail", description="What a completed run that still counts failed records means [A-18]"),
    ]
    clean_up_inputs: Annotated[
        bool, Field(default=False, description="Remove the vendor's copies of the input files once the batch balances [D]")
    ]
    records_via: Annotated[
        Literal["signed_url", "direct"],
        Field(default="signed_url", description="How to fetch the migrated records; direct fails above 30000 records [D]"),
    ]
    errors_via: Annotated[
        Literal["signed_url", "direct"],
        Field(default="signed_url", description="How to fetch the error file; direct is not allowed above 30000 errors [D]"),
    ]
    date_format: Annotated[
        str,
        AfterValidator(_known_format),
        Field(default=ISO_8601, description="Dates the policy accepts: 'iso8601' or a strftime pattern [A-23]"),
    ]
    unresolved_codes: Annotated[
        tuple[str, ...],
        Field(
            default=("UNRESOLVED_REFERENCE",),
            description="Error codes of the vendor that mean a reference did not resolve; the vendor publishes none [A-28]",
        ),
    ]

    def extra_files(self) -> list[str]:
        """The alternate-id file belongs to the input: changing it makes a new attempt."""
        return [self.alternate_ids] if self.alternate_ids else []
