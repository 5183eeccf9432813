"""The connectors, by Kafka Connect's REST interface."""

import asyncio

import httpx

SET_TIMEOUT = 30


class ConnectError(Exception):
    """Kafka Connect cannot be reached, or refuses."""


class KafkaConnect:
    def __init__(self, url):
        self.url = url
        self.client = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False)

    async def close(self):
        await self.client.aclose()

    async def states(self):
        """The state of every connector, by name: RUNNING, PAUSED, STOPPED, FAILED …, and why it failed."""
        answer = await self._request("GET", "/connectors?expand=status")
        return {name: self._state(connector["status"]) for name, connector in answer.json().items()}

    async def set(self, name, verb, state):
        """pause or resume it, and wait until it is so."""
        await self._request("PUT", f"/connectors/{name}/{verb}")
        for _ in range(SET_TIMEOUT * 10):
            if (await self.states()).get(name, {}).get("state") == state:
                return
            await asyncio.sleep(0.1)
        raise ConnectError(f"Connector {name} does not become {state}.")

    async def _request(self, method, path):
        try:
            answer = await self.client.request(method, path)
        except httpx.HTTPError as error:
            raise ConnectError(f"Kafka Connect at {self.url} cannot be reached: {error or type(error).__name__}") from error
        if answer.is_error:
            raise ConnectError(f"Kafka Connect refused {method} {path}: {self._message(answer)}")
        return answer

    @staticmethod
    def _message(answer):
        try:
            return answer.json()["message"]
        except (ValueError, KeyError):
            return f"status {answer.status_code}"

    @staticmethod
    def _state(status):
        """The worst of the connector and its tasks; one without a task does nothing yet."""
        parts = [status["connector"], *status["tasks"]]
        for part in parts:
            if part["state"] == "FAILED":
                return {"state": "FAILED", "error": (part.get("trace") or "").partition("\n")[0]}
        states = {part["state"] for part in parts}
        if not status["tasks"] and states == {"RUNNING"}:
            return {"state": "UNASSIGNED", "error": None}
        return {"state": states.pop() if len(states) == 1 else "CHANGING", "error": None}
