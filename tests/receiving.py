"""
Who is told: a pager's webhook and a chat's hook, and a shipped Alertmanager that sends to both.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import yaml
from hurry import hurry
from running import Alertmanager, free_port

MONITORING = Path(__file__).resolve().parent.parent / "monitoring"
RULES = MONITORING / "rules"
ROUTES = MONITORING / "alertmanager.yml"


class Rule(msgspec.Struct):
    """
    One alert of alerts.yml.
    """

    alert: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Group(msgspec.Struct):
    """
    A group of them.
    """

    rules: list[Rule]


class Groups(msgspec.Struct):
    """
    A file of them.
    """

    groups: list[Group]


def read_alerts() -> dict[str, Rule]:
    """
    Read alerts.yml.
    """
    loaded = yaml.safe_load((RULES / "alerts.yml").read_text())
    return {
        rule.alert: rule for group in msgspec.convert(loaded, Groups).groups for rule in group.rules
    }


ALERTS = read_alerts()


class Alert(msgspec.Struct, frozen=True):
    """
    An alert as Alertmanager tells of it.
    """

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Page(msgspec.Struct, frozen=True):
    """
    What a webhook is sent.
    """

    status: str
    receiver: str
    alerts: list[Alert]


class Attachment(msgspec.Struct, frozen=True):
    """
    The part of a chat message that is written for people.
    """

    title: str
    text: str


class Chat(msgspec.Struct, frozen=True):
    """
    What a chat's hook is sent.
    """

    channel: str
    attachments: list[Attachment]


class Receiver(ThreadingHTTPServer):
    """
    The pager and the chat, on one address.
    """

    def __init__(self) -> None:
        """
        Listen on loopback.
        """
        self.pages: list[Page] = []
        self.chats: list[Chat] = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        """
        Stop listening.
        """
        self.shutdown()
        self._thread.join()
        self.server_close()

    def paged(self, instance: str, status: str) -> list[list[Alert]]:
        """
        List the pages about one host.
        """
        return [
            page.alerts
            for page in self.pages
            if page.status == status and instance == page.alerts[0].labels["instance"]
        ]

    def said(self, instance: str, status: str) -> list[str]:
        """
        List the alerts of one host that the chat was told of.
        """
        words = [message.attachments[0].title.split() for message in self.chats]
        return [title[1] for title in words if [f"[{status}]", title[1], instance] == title]


class Handler(BaseHTTPRequestHandler):
    """
    Keeps what is posted to a receiver.
    """

    def do_POST(self) -> None:
        """
        Read one message.
        """
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/hooks/milter-manager":
            self.server.chats.append(msgspec.json.decode(body, type=Chat))
        else:
            assert "/milter-manager" == self.path
            self.server.pages.append(msgspec.json.decode(body, type=Page))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """
        Say nothing.
        """


@contextmanager
def receiving() -> Iterator[Receiver]:
    """
    Have someone who can be told.
    """
    server = Receiver()
    try:
        yield server
    finally:
        server.close()


def start_alertmanager(directory: Path, receiver: Receiver) -> Alertmanager:
    """
    Start Alertmanager as shipped: its clock goes faster, its addresses are the receiver's.
    """
    text = hurry(ROUTES.read_text())
    for address in ("https://pager.example", "https://chat.example"):
        assert address in text
        text = text.replace(address, receiver.address)
    # Nobody listens there: mail is not looked at.
    text = text.replace("smtp.mail.example:587", f"127.0.0.1:{free_port()}")
    config = directory / "alertmanager.yml"
    config.write_text(text)
    return Alertmanager(config)
