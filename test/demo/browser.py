"""The todo app as somebody uses it in a browser: a server and two clients on one page.

browser.py --url http://localhost:25532 --stack "test/stack/stack --dir .run" [--screenshots DIR]

Prints a line "ok - …" or "not ok - …" per assertion. The stack must have two clients, all online; it is left so.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from playwright.sync_api import Error, expect, sync_playwright

NODES = ["server", "client-1", "client-2"]
PATIENCE = 60_000  # ms until something is taken not to happen
CHROMIUM = "/usr/bin/chromium"
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Failed(Exception):
    pass


class Demo:
    """The page, in the words of this test."""

    def __init__(self, page, args):
        self.page = page
        self.url = args.url
        self.stack_command = shlex.split(args.stack)
        self.screenshots = args.screenshots
        self.run = Path("/proc/self/stat").read_text().split()[21]  # another name in every run
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)

    def node(self, name):
        return self.page.get_by_role("article", name=name, exact=True)

    def todo(self, node, title):
        return self.node(node).locator(".todos > li").filter(has=self.page.locator("strong", has_text=re.compile(f"^{re.escape(title)}$")))

    def switch(self, node):
        return self.node(node).get_by_role("switch")

    def note(self, node):
        return self.page.get_by_role("textbox", name=f"Shared note on {node}")

    def pending(self, node):
        return self.node(node).locator(".pending")

    def conflicts(self, node):
        return self.node(node).locator(".conflicts > li")

    def title(self, text):
        return f"{text} ({self.run})"

    def everywhere(self, title):
        for node in NODES:
            expect(self.todo(node, title), f"'{title}' on {node}").to_have_count(1)

    def edit(self, node, title, new):
        todo = self.todo(node, title)
        todo.get_by_role("button", name=f"Edit: {title}").click()
        self.node(node).get_by_role("textbox", name="Title").fill(new)
        self.page.keyboard.press("Enter")
        expect(self.todo(node, new)).to_have_count(1)

    def settled(self):
        for node in NODES:
            expect(self.pending(node)).to_have_text("To send 0, to receive 0")

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def topic(self, name):
        return self.page.locator(".topics > li").filter(has=self.page.get_by_role("button", name=name, exact=True))

    def choose_topic(self, name, node=None):
        self.page.get_by_role("button", name=name, exact=True).click()
        if node:
            self.page.get_by_role("combobox", name="as understood on").select_option(node)

    def messages(self, text=""):
        return self.page.locator(".messages > li").filter(has_text=text)

    def message_at(self, offset):
        return self.page.locator(".messages > li").filter(has=self.page.get_by_text(f"partition 0, offset {offset}", exact=True))

    def stack(self, *command, values=""):
        done = subprocess.run([*self.stack_command, *command], input=values, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"stack {' '.join(command)}: {done.stderr}")
        return done.stdout

    def shot(self, name):
        if self.screenshots:
            self.page.screenshot(path=f"{self.screenshots}/{name}.png", full_page=True)


def check(condition, what):
    if not condition:
        raise Failed(what)


# --- steps, in the order of a visit -----------------------------------------------------------------------


def opens(demo):
    """the page shows every node, online"""
    demo.page.goto(demo.url)
    for node in NODES:
        expect(demo.node(node)).to_have_attribute("data-state", "online")
        expect(demo.node(node)).to_contain_text("streaming, lag 0 · sending: running")
    expect(demo.switch("client-1")).to_be_checked()
    expect(demo.switch("server")).to_have_count(0)
    demo.settled()
    demo.shot("opens")


def types_a_todo(demo):
    """a todo typed on a client, by keyboard alone, appears on the others and lights up there"""
    title = demo.title("Buy milk")
    demo.page.get_by_role("textbox", name="New todo on client-1", exact=True).focus()
    demo.page.keyboard.type(title)
    demo.page.keyboard.press("Tab")
    demo.page.keyboard.type("two litres")
    demo.page.keyboard.press("Enter")
    demo.everywhere(title)
    expect(demo.todo("client-1", title)).to_contain_text("written here")
    expect(demo.todo("server", title)).to_contain_text("from client-1")
    expect(demo.todo("client-2", title)).to_contain_text("from server")
    expect(demo.todo("client-2", title)).to_contain_text("two litres")
    expect(demo.todo("client-2", title)).to_have_class("flash")
    check("flash" not in (demo.todo("client-1", title).get_attribute("class") or ""), "it lights up where it was written")
    expect(demo.page.get_by_role("textbox", name="New todo on client-1", exact=True)).to_be_focused()
    demo.shot("typed")


def completes_and_deletes(demo):
    """completed on the server, completed everywhere; deleted on a client, gone everywhere"""
    title = demo.title("Buy milk")
    demo.todo("server", title).get_by_role("checkbox").check()
    for node in NODES:
        expect(demo.todo(node, title).get_by_role("checkbox")).to_be_checked()
    demo.shot("completed")
    demo.todo("client-2", title).get_by_role("button", name=f"Delete: {title}").click()
    for node in NODES:
        expect(demo.todo(node, title)).to_have_count(0)
    demo.settled()


def edits_offline(demo):
    """offline edits on both sides are pending; online again the newer one stands on all, the conflict is listed"""
    title, mine, theirs = demo.title("Paint the door"), demo.title("Paint it red"), demo.title("Paint it blue")
    demo.page.get_by_role("textbox", name="New todo on server", exact=True).fill(title)
    demo.page.keyboard.press("Enter")
    demo.everywhere(title)
    demo.settled()
    demo.switch("client-1").uncheck()
    expect(demo.node("client-1")).to_have_attribute("data-state", "offline")
    expect(demo.node("client-1").locator(".state")).to_have_text("receiving: paused, lag ? · sending: paused")
    demo.edit("client-1", title, mine)
    demo.edit("server", title, theirs)
    expect(demo.todo("client-2", theirs)).to_have_count(1)
    expect(demo.pending("client-1")).to_have_text("To send 0, to receive 1")
    demo.shot("offline")
    demo.switch("client-1").check()
    demo.everywhere(theirs)
    expect(demo.node("client-1")).to_have_attribute("data-state", "online")
    conflict = demo.conflicts("client-1").first
    for text in ("update_origin_differs", mine, theirs):
        expect(conflict).to_contain_text(text)
    demo.settled()
    demo.shot("conflict")


def takes_the_other(demo):
    """'take the other' brings the losing edit back on all nodes"""
    mine, theirs = demo.title("Paint it red"), demo.title("Paint it blue")
    demo.conflicts("client-1").first.get_by_role("button", name=f"Take the other: {mine}").click()
    demo.everywhere(mine)
    expect(demo.todo("server", theirs)).to_have_count(0)
    expect(demo.conflicts("client-1").first.get_by_role("button", name=f"Take the other: {theirs}")).to_be_visible()
    demo.shot("taken")


def looks_into_topics(demo):
    """the topics, by keyboard alone: their ends, their readers; a message comes as it is, and as its reader understands it"""
    title = demo.title("Look <img src=x onerror=alert(1)>")
    demo.page.get_by_role("tab", name="Todos").focus()
    demo.page.keyboard.press("ArrowLeft")
    expect(demo.page.get_by_role("tab", name="Topics")).to_be_focused()
    name = "client-1.public.todos"
    expect(demo.topic(name)).to_contain_text(re.compile(r"end \d+server: streaming, lag 0$"))
    end = int(re.search(r"end (\d+)", demo.topic(name).inner_text())[1])
    for _ in range(20):
        demo.page.keyboard.press("Tab")
        if demo.page.locator(":focus").inner_text() == name:
            break
    demo.page.keyboard.press("Enter")
    expect(demo.page.get_by_role("heading", name=name)).to_be_visible()
    expect(demo.message_at(end - 1)).to_have_count(1)
    send(f"{demo.url}/api/nodes/client-1/todos", {"title": title})
    message = demo.message_at(end)
    expect(message).to_contain_text("create of public.todos by client-1")
    expect(message.locator(".raw")).to_contain_text(f'"title":"{title}"')
    expect(message.locator(".raw")).to_contain_text("__debezium.context")
    expect(message.get_by_role("row", name=re.compile("^title"))).to_contain_text(title)
    expect(message.locator(".progress")).to_have_text("Read, no conflict on record.")
    expect(demo.messages().first, "the newest is the first").to_contain_text(f"offset {end}")
    expect(demo.topic(name)).to_contain_text(f"end {end + 1}server: streaming, lag 0")
    check(demo.page.locator("img").count() == 0, "a title became an element")
    message.locator("summary").focus()
    demo.page.keyboard.press("Enter")
    time = re.findall(r'"ts_ns":(\d+)', message.locator(".raw dd").nth(3).inner_text())[-1]
    expect(message.locator("pre", has_text=f'"ts_ns": {time}'), "numbers stay what they are").to_have_count(1)
    expect(message.locator("pre", has_text='"type": "struct"')).to_have_count(2)
    demo.shot("topic")
    demo.tab("Todos")
    demo.settled()


def shows_what_was_decided(demo):
    """a conflict stands beside the message that met it; what a paused node has still to read does, too"""
    mine, theirs = demo.title("Paint it red"), demo.title("Paint it blue")
    demo.tab("Topics")
    demo.choose_topic("client-1.public.todos", "server")
    met = demo.messages(f'"title":"{mine}"').filter(has_text="keep_local")
    expect(met).to_contain_text("update_origin_differs: keep_local")
    demo.choose_topic("server.public.todos", "client-1")
    expect(demo.messages(f'"title":"{theirs}"').filter(has_text="update_origin_differs: apply_remote")).to_have_count(1)
    demo.stack("disconnect", "1")
    title = demo.title("Not read yet")
    send(f"{demo.url}/api/nodes/server/todos", {"title": title})
    expect(demo.topic("server.public.todos")).to_contain_text("client-1: paused, lag 1")
    expect(demo.topic("server.public.todos")).to_contain_text("client-2: streaming, lag 0")
    expect(demo.messages(title).locator(".progress")).to_have_text("Still to be read.")
    demo.shot("decided")
    demo.stack("connect", "1")
    expect(demo.messages(title).locator(".progress")).to_have_text("Read, no conflict on record.")
    demo.tab("Todos")
    demo.settled()


def follows_a_topic(demo):
    """a topic that nobody reads, with several partitions, transactions, deleted and made anew; what is no text"""
    name = f"topic-{demo.run}"
    demo.tab("Topics")
    demo.stack("topic-create", name, "2")
    demo.page.get_by_text("Other topics", exact=True).click()
    demo.choose_topic(name, "client-2")
    expect(demo.page.get_by_text("No messages.")).to_be_visible()
    demo.stack("transaction", name, "1", "commit", values="first\nsecond\n")
    demo.stack("transaction", name, "0", "abort", values="aborted\n")
    demo.stack("transaction", name, "0", "commit", values='{"a":[1,{}]}\n')
    expect(demo.messages()).to_have_count(3)
    expect(demo.messages("second")).to_contain_text("invalid JSON in message value")
    expect(demo.messages("second").locator(".progress")).to_have_text("Not read here.")
    demo.messages('{"a"').locator("summary").click()
    check(demo.messages('{"a"').locator("pre").inner_text() == '{\n  "a": [\n    1,\n    {}\n  ]\n}', "JSON, line by line")
    demo.stack("topic-grow", name, "3")
    demo.stack("transaction", name, "2", "commit", values="third\n")
    expect(demo.messages("third")).to_have_count(1)
    expect(demo.messages()).to_have_count(4)
    demo.stack("topic-delete", name)
    expect(demo.page.get_by_text("There is no such topic")).to_be_visible()
    demo.stack("topic-create", name, "1")
    demo.stack("transaction", name, "0", "commit", values="anew\n")
    expect(demo.messages()).to_have_count(1)
    expect(demo.messages()).to_contain_text("anew")
    demo.stack("topic-delete", name)
    demo.choose_topic("__consumer_offsets")
    expect(demo.messages().first).to_contain_text("It is no text in UTF-8.")
    demo.tab("Todos")


def says_that_kafka_is_down(demo):
    """while Kafka is down the tab says so and shows what it has; then it goes on by itself"""
    title = demo.title("Kafka is back")
    demo.tab("Topics")
    demo.choose_topic("client-2.public.todos", "server")
    expect(demo.messages().first).to_be_visible()
    demo.stack("kafka", "stop")
    expect(demo.page.get_by_text(re.compile("^Kafka at .* does not answer: .* Start it again: make run$"))).to_be_visible()
    expect(demo.messages().first).to_be_visible()
    expect(demo.topic("client-2.public.todos")).to_contain_text("lag ?")
    demo.shot("kafka-down")
    demo.stack("kafka", "start")
    send(f"{demo.url}/api/nodes/client-2/todos", {"title": title})
    expect(demo.messages(f'"title":"{title}"').locator(".progress")).to_have_text("Read, no conflict on record.")
    expect(demo.page.get_by_text(re.compile("^Kafka at .* does not answer"))).to_be_hidden()
    demo.tab("Todos")
    demo.settled()


def switches_from_the_shell(demo):
    """make disconnect and the page's switch are the same thing"""
    title = demo.title("Written on the train")
    demo.stack("disconnect", "2")
    expect(demo.switch("client-2")).not_to_be_checked()
    demo.page.get_by_role("textbox", name="New todo on client-2", exact=True).fill(title)
    demo.page.keyboard.press("Enter")
    expect(demo.pending("client-2")).to_have_text("To send 1, to receive 0")
    expect(demo.pending("server")).to_have_text("To send 0, to receive 1")
    demo.stack("connect", "2")
    expect(demo.switch("client-2")).to_be_checked()
    demo.everywhere(title)
    demo.switch("client-2").uncheck()
    expect(demo.node("client-2")).to_have_attribute("data-state", "offline")
    demo.stack("connect", "2")
    expect(demo.node("client-2")).to_have_attribute("data-state", "online")
    demo.settled()


def shares_a_note(demo):
    """the shared note, written on all nodes at once, ends the same on all; what is being typed is not overwritten"""
    tab = demo.page.get_by_role("tab", name="Todos")
    tab.focus()
    demo.page.keyboard.press("ArrowRight")
    expect(demo.page.get_by_role("tab", name="Shared note")).to_be_focused()
    demo.note("client-1").fill(f"draft {demo.run}")
    demo.page.get_by_role("button", name="Write on all nodes at once").click()
    expect(demo.note("client-2")).to_have_value(re.compile("wrote this at"))
    demo.settled()
    expect(demo.note("server")).to_have_value(demo.note("client-2").input_value())
    expect(demo.note("client-1")).to_have_value(f"draft {demo.run}")
    demo.shot("race")
    demo.node("client-1").get_by_role("button", name="Save").click()
    for node in NODES:
        expect(demo.note(node)).to_have_value(f"draft {demo.run}")
    demo.settled()
    demo.page.get_by_role("tab", name="Todos").click()


def shows_one_node(demo):
    """the drop-down shows one node, or all"""
    view = demo.page.get_by_role("combobox", name="Show")
    view.select_option("client-2")
    expect(demo.node("client-2")).to_be_visible()
    expect(demo.node("server")).to_have_count(0)
    view.select_option("")
    expect(demo.node("server")).to_be_visible()


def says_what_is_down(demo):
    """a node that is down and a connector that is missing are said on the page, in a sentence; the others go on"""
    title = demo.title("Written meanwhile")
    demo.stack("node-stop", "2")
    expect(demo.node("client-2")).to_have_attribute("data-state", "down")
    expect(demo.node("client-2")).to_contain_text("client-2 cannot be reached. Start it again: make run")
    demo.page.get_by_role("textbox", name="New todo on client-1", exact=True).fill(title)
    demo.page.keyboard.press("Enter")
    expect(demo.todo("server", title)).to_have_count(1)
    demo.shot("down")
    demo.stack("node-start", "2")
    demo.everywhere(title)
    answer = request(f"{demo.url}/api/nodes/client-9/online")
    check(answer == (404, {"detail": "There is no client client-9."}), f"a client that is not there: {answer}")


def tells_of_a_missing_connector(demo):
    """without its connector the node says so, and make run mends it"""
    demo.stack("connector-delete", "client-2")
    expect(demo.node("client-2")).to_contain_text("There is no connector client-2")
    demo.switch("client-2").click()
    expect(demo.page.get_by_role("alert")).to_contain_text("client-2")
    expect(demo.switch("client-2")).to_be_checked()
    demo.shot("missing")
    demo.stack("run")
    demo.page.goto(demo.url)
    demo.stack("connect", "2")
    expect(demo.node("client-2")).to_have_attribute("data-state", "online")


def has_names(demo):
    """every control has an accessible name, and none is beyond the edge at 360 and 1400 px, light and dark"""
    for width in (360, 1400):
        for scheme in ("light", "dark"):
            demo.page.set_viewport_size({"width": width, "height": 900})
            demo.page.emulate_media(color_scheme=scheme)
            for tab in ("Topics", "Shared note", "Todos"):
                demo.tab(tab)
                if tab == "Topics":
                    demo.choose_topic("client-1.public.todos")
                    demo.messages().locator("summary").first.click()
                    expect(demo.messages().locator("pre").first).to_be_visible()
                    demo.shot(f"{width}-{scheme}-topics")
                if tab == "Todos":
                    check_rows(demo, width)
                beyond = demo.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                check(beyond <= 0, f"{tab} at {width} px: {beyond} px too wide")
                nameless = [line for line in demo.page.locator("body").aria_snapshot().splitlines() if re.match(r"\s*- (button|textbox|checkbox|switch|combobox|tab)( \[|:|$)", line)]
                check(not nameless, f"controls without a name: {nameless}")
            demo.shot(f"{width}-{scheme}")
    background = {scheme: background_of(demo, scheme) for scheme in ("light", "dark")}
    check(background["light"] != background["dark"], f"light and dark have the background {background['dark']}")


def serves_its_own_page(demo):
    """what another page asks for, or a name of somebody else's, is refused, and nothing is written"""
    race = f"{demo.url}/api/note/race"
    port = urllib.parse.urlsplit(demo.url).port
    demo.page.get_by_role("tab", name="Shared note").click()
    before = demo.note("server").input_value()
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{port + 1}"},
        {"Host": f"evil.example:{port}"},
        {"Host": f"localhost.evil.example:{port}", "Origin": f"http://localhost.evil.example:{port}"},
        {"Host": "["},
    ):
        status, answer = request(race, **headers)
        check(status == 403 and answer["error"], f"{headers}: {status} {answer}")
    demo.settled()
    check(demo.note("server").input_value() == before, "the note was written all the same")
    for headers in ({}, {"Origin": demo.url}, {"Host": f"127.0.0.1:{port}"}, {"Host": f"[::1]:{port}"}):
        status, answer = request(race, **headers)
        check(status == 200, f"{headers}: {status} {answer}")
    demo.settled()
    demo.page.get_by_role("tab", name="Todos").click()


def check_rows(demo, width):
    """A todo and its buttons stand in one row."""
    for todo in demo.page.locator(".todo").all()[:3]:
        top, *others = [part.bounding_box()["y"] for part in todo.locator("> input, > button").all()]
        check(all(abs(other - top) < 20 for other in others), f"at {width} px the parts of a todo stand at {top}, {others}")


def background_of(demo, scheme):
    demo.page.emulate_media(color_scheme=scheme)
    return demo.page.evaluate("getComputedStyle(document.body).backgroundColor")


STEPS = [
    opens,
    types_a_todo,
    completes_and_deletes,
    edits_offline,
    takes_the_other,
    looks_into_topics,
    shows_what_was_decided,
    follows_a_topic,
    switches_from_the_shell,
    shares_a_note,
    serves_its_own_page,
    shows_one_node,
    says_what_is_down,
    says_that_kafka_is_down,
    has_names,
    tells_of_a_missing_connector,
]


def send(url, body):
    answer = request(url, json.dumps(body).encode(), **{"Content-Type": "application/json"})
    check(answer[0] == 204, f"{url}: {answer}")


def request(url, body=None, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method="POST", headers=headers)) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def run(demo, noise):
    for step in STEPS:
        noise.clear()
        try:
            step(demo)
            check(not noise, f"the browser's console says: {noise}")
        except (Failed, AssertionError, Error) as error:
            print(f"not ok - {step.__doc__}", flush=True)
            for line in str(error).splitlines()[:30]:
                print(f"# {line}", flush=True)
            demo.shot("failed")
            return False
        print(f"ok - {step.__doc__}", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--screenshots")
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET, chromium_sandbox=False)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        noise = []  # scripts that fail; requests that the server refuses are said on the page
        page.on("pageerror", lambda error: noise.append(str(error)))
        passed = run(Demo(page, args), noise)
        browser.close()
    sys.exit(not passed)


if __name__ == "__main__":
    main()
