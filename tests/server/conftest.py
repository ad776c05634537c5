"""A server for each test."""

import pytest
from farcall_service import running


@pytest.fixture
async def service():
    async with running() as service:
        yield service
