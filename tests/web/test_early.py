"""What the page's own HTML brings along, so that the picture need not wait for Gradio."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from deformviz.viewer import bundle
from deformviz.web.early import Early, head
from deformviz.web.viewer import script_path

PAGE = "<!doctype html><head><title>变形</title></head><body>here</body>"


async def in_parts(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        for i in range(0, len(PAGE), 7):
            yield PAGE[i : i + 7]

    return StreamingResponse(parts(), media_type="text/html")


def client(root: Route) -> TestClient:
    other = Route("/other", lambda _: HTMLResponse(PAGE))
    return TestClient(Starlette(routes=[root, other], middleware=[Middleware(Early)]))


@pytest.mark.parametrize("serve", [lambda _: HTMLResponse(PAGE), in_parts])
def test_the_page_gets_it_at_the_end_of_its_head(serve: Route) -> None:
    answer = client(Route("/", serve)).get("/?operator=DRConv")
    assert answer.text == PAGE.replace("</head>", f"{head()}</head>")
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_nothing_else_is_changed() -> None:
    served = client(Route("/", lambda _: JSONResponse({"html": "</head>"})))
    assert served.get("/").json() == {"html": "</head>"}
    assert served.get("/other").text == PAGE
    assert served.get("/nowhere").status_code == 404


def test_below_a_path_the_page_is_where_the_app_is_mounted() -> None:
    inner = Starlette(
        routes=[Route("/", lambda _: HTMLResponse(PAGE))], middleware=[Middleware(Early)]
    )
    answer = TestClient(Starlette(routes=[Mount("/below", inner)])).get("/below/")
    assert head() in answer.text


def test_it_holds_the_viewers_elements_style_and_script() -> None:
    text = head()
    assert f'<template id="deformviz-viewer">{bundle.markup()}</template>' in text
    assert bundle.style() in text
    assert f"'{script_path()}'" in text
    assert "http" not in text.replace(bundle.style(), "").replace(bundle.markup(), "")


def test_the_chinese_page_gets_its_own() -> None:
    page = PAGE.replace("<!doctype html>", '<!doctype html>\n<html\n\tlang="en">')
    routes = [Route(path, lambda _: HTMLResponse(page)) for path in ("/", "/zh", "/zhou")]
    served = TestClient(Starlette(routes=routes, middleware=[Middleware(Early)]))
    chinese = served.get("/zh?seed=3").text
    assert chinese == page.replace("</head>", f"{head('zh')}</head>").replace('"en"', '"zh-CN"')
    assert bundle.markup("zh") in chinese
    assert f"'{script_path('zh')}'" in chinese
    assert served.get("/").text == page.replace("</head>", f"{head()}</head>")
    assert served.get("/zhou").text == page


def test_a_slash_too_many_keeps_the_query() -> None:
    inner = Starlette(
        routes=[Route("/zh", lambda _: HTMLResponse(PAGE))], middleware=[Middleware(Early)]
    )
    for app, base in ((inner, ""), (Starlette(routes=[Mount("/below", inner)]), "/below")):
        answer = TestClient(app).get(f"{base}/zh/?seed=3&field=toward+edges")
        assert answer.url.path == f"{base}/zh"
        assert answer.url.query == b"seed=3&field=toward+edges"
        assert head("zh") in answer.text
