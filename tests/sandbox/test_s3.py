from urllib.parse import parse_qs, urlsplit

import httpx  # noqa: TID251  # the fake vendor is tested with a plain client, not with ours
import pytest

COMPANY = b'"alternateId","legalEntityName","countryOfIncorporation"\n"C-1","A","PL"\n'


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"].startswith("application/xml")
    return answer.text.split("<Code>")[1].split("</Code>")[0]


@pytest.fixture
def link(tenant):
    return tenant.link(tenant.create(), "Company")


@pytest.fixture
def download(tenant, files):
    migration = tenant.run(files)
    return tenant.command("PUT", f"/migration/{migration}/migration-records-file-signed-url").json()["data"]


def test_a_link_looks_like_the_vendor_s(download):
    query = parse_qs(urlsplit(download).query)
    assert query["X-Amz-Expires"] == ["30"]
    assert query["X-Amz-SignedHeaders"] == ["host"]
    assert query["response-content-disposition"] == ['inline; filename="data.csv"']
    assert query["X-Amz-Security-Token"]
    assert urlsplit(download).path.endswith("/internal/MigratedRecords/data.csv")


def test_a_link_works_byte_for_byte_with_its_length(plain, download):
    answer = plain.get(download)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-disposition"] == 'inline; filename="data.csv"'


def test_links_expire_by_the_simulated_clock(plain, tenant, link, download):
    tenant.advance(31)
    for answer in (plain.put(link, content=COMPANY), plain.get(download)):
        assert (answer.status_code, code(answer)) == (403, "AccessDenied")
        assert "Request has expired" in answer.text


@pytest.mark.parametrize("old,new", [("X-Amz-Expires=30", "X-Amz-Expires=3000"), ("Company", "Individual")])  # noqa: PT006
def test_an_altered_link_is_refused(plain, link, old, new):
    answer = plain.put(link.replace(old, new), content=COMPANY)
    assert (answer.status_code, code(answer)) == (403, "SignatureDoesNotMatch")


def test_a_re_encoded_or_extended_link_is_refused(plain, link):
    for changed in (link.replace("%2B", "+"), link + "&extra=1", link.replace("%2F", "/")):
        assert changed != link
        assert plain.put(changed, content=COMPANY).status_code == 403


@pytest.mark.parametrize("name", ["X-Amz-Signature", "X-Amz-Date", "X-Amz-Credential"])
def test_a_link_without_one_of_its_parts_is_refused(plain, link, name):
    path, query = link.split("?")
    rest = "&".join(part for part in query.split("&") if not part.startswith(name))
    assert plain.put(f"{path}?{rest}", content=COMPANY).status_code in (400, 403)


def test_credentials_of_the_api_are_refused(plain, tenant, link):
    answer = plain.put(link, content=COMPANY, headers={"Authorization": "Bearer x"})
    assert (answer.status_code, code(answer)) == (400, "InvalidArgument")
    answer = plain.put(link, content=COMPANY, headers={"X-TENANT-ID": "x"})
    assert (answer.status_code, code(answer)) == (400, "InvalidRequest")
    tenant.switch(storage_refuses_tenant=False)
    assert plain.put(link, content=COMPANY, headers={"X-TENANT-ID": "x"}).status_code == 200


def test_a_link_to_read_does_not_write_and_the_other_way_round(plain, link, download):
    assert plain.put(download, content=COMPANY).status_code == 403
    assert plain.get(link).status_code == 403


def test_a_body_without_length_is_refused(plain, link):
    answer = plain.put(link, content=iter([COMPANY]))
    assert (answer.status_code, code(answer)) == (411, "MissingContentLength")


def test_an_object_that_is_gone_is_a_404(plain, tenant, files):
    tenant.switch(process_seconds=0.0)
    migration = tenant.run(files)
    link = tenant.command("PUT", f"/migration/{migration}/migration-records-file-signed-url").json()["data"]
    tenant.http.post("/_sandbox/reset")
    answer = plain.get(link)
    assert (answer.status_code, code(answer)) == (404, "NoSuchKey")


def test_the_verb_of_uploads_is_a_switch(plain, tenant):
    tenant.switch(upload_verb="POST")
    link = tenant.link(tenant.create(), "Company")
    assert plain.put(link, content=COMPANY).status_code == 403
    assert plain.post(link, content=COMPANY).status_code == 200


def test_a_big_file_arrives_whole(tenant):
    migration = tenant.create()
    head = b'"alternateId","legalEntityName","countryOfIncorporation"\n'
    body = head + b"".join(b'"C-%d","%s","PL"\n' % (n, b"x" * 500) for n in range(10_000))
    tenant.upload(migration, {"Company": body})
    tenant.start(migration)
    assert tenant.until(migration, "Completed")["entityCount"] == 10_000
