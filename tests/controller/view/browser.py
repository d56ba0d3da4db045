"""A headless Chromium from the system, without graphics hardware."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PATIENCE = 240_000
"""A browser that draws on a busy processor takes its time [ms]."""


WITHOUT_WEBGL = ("--headless", "--no-sandbox", "--disable-3d-apis", *FLAGS[4:])


@contextmanager
def browser(
    width: int = 640, height: int = 480, nice: int = 0, flags: tuple[str, ...] = FLAGS
) -> Iterator[Page]:
    """An empty tab; what goes wrong on the page's own console fails the test in the end."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium; install Debian's package of that name")
        pytest.skip("no chromium")
    errors: list[str] = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        polite = Path(profile) / "polite"
        polite.write_text(f'#!/bin/sh\nexec nice -n {nice} {found} "$@"\n')
        polite.chmod(0o755)
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=polite,
            args=list(flags),
            viewport={"width": width, "height": height},
            timeout=PATIENCE,
        )
        context.set_default_timeout(PATIENCE)
        page = context.pages[0]
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            yield page
        finally:
            context.close()
    # Without WebGL, what draws fails, which is what is tested then.
    assert not errors or flags is WITHOUT_WEBGL
