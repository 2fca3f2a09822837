"""A small Slack app by the official Python SDK, which tests drive through people.

slack_app.py socket API_URL | slack_app.py http API_URL PORT; the tokens are in the environment.
"""

import os
import sys

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

mode, api_url = sys.argv[1:3]
client = WebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=api_url + "/")
app = App(client=client, signing_secret=os.environ["SLACK_SIGNING_SECRET"])


def button(action_id, text, **more):
    return {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": text}, **more}


def choice(word):
    return {"text": {"type": "plain_text", "text": word}, "value": word}


def section(text):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def feedback(text):
    return {"text": {"type": "plain_text", "text": text}, "value": text.lower()}


ANSWERED = [
    {"type": "actions", "elements": [button("ask", "Ask more"), button("run", "Run", value="run-42", style="danger")]},
    {"type": "context_actions", "elements": [{
        "type": "feedback_buttons", "action_id": "feedback",
        "positive_button": feedback("Good"), "negative_button": feedback("Bad"),
    }]},
]
MENU = [
    section("*Servers*"),
    {"type": "actions", "elements": [
        {"type": "static_select", "action_id": "server", "options": [choice("db"), choice("git")]},
    ]},
]


@app.event("app_mention")
def mention(event, context):
    channel, thread = event["channel"], event.get("thread_ts") or event["ts"]
    client.reactions_add(channel=channel, name="eyes", timestamp=event["ts"])
    stream = client.chat_stream(
        channel=channel, thread_ts=thread, recipient_team_id=context.team_id, recipient_user_id=event["user"], buffer_size=1
    )
    stream.append(chunks=[{"type": "task_update", "id": "t1", "title": "db · get", "status": "in_progress"}])
    stream.append(chunks=[{"type": "task_update", "id": "t1", "title": "db · get", "status": "complete", "output": "3 rows"}])
    stream.append(markdown_text="You said **")
    stream.append(markdown_text=event["text"].split(">", 1)[1].strip() + "**")
    stream.stop(blocks=ANSWERED)


@app.event("message")
def message(event, say):
    if event.get("bot_id") or event.get("subtype") or "<@" in event.get("text", ""):
        return
    if event["channel_type"] != "im" and not event.get("thread_ts"):
        return
    channel, thread = event["channel"], event.get("thread_ts") or event["ts"]
    if event["text"] == "csv":
        client.files_upload_v2(channel=channel, thread_ts=thread, filename="a.csv", title="A", content="a,b\n1,2\n")
        return
    email = client.users_info(user=event["user"])["user"]["profile"]["email"]
    before = client.conversations_replies(channel=channel, ts=thread)["messages"]
    posted = say(text="Working", thread_ts=thread)
    client.chat_update(channel=channel, ts=posted["ts"], text=f"{email} said {event['text']} after {len(before) - 1}")


@app.command("/omni-help")
def help_(ack):
    ack(text="Help", blocks=MENU)


@app.action("server")
def server(ack, body, respond):
    ack()
    picked = body["actions"][0]["selected_option"]["value"]
    respond(text="Help", blocks=[*MENU, section(f"Tools of {picked}")], replace_original=True)


@app.action("ask")
def ask(ack, body):
    ack()
    client.views_open(trigger_id=body["trigger_id"], view={
        "type": "modal", "callback_id": "question", "private_metadata": body["channel"]["id"],
        "title": {"type": "plain_text", "text": "Ask"}, "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [{
            "type": "input", "block_id": "words", "label": {"type": "plain_text", "text": "Your question"},
            "element": {"type": "plain_text_input", "action_id": "typed"},
        }],
    })


@app.view("question")
def question(ack, view):
    typed = view["state"]["values"]["words"]["typed"]["value"]
    if len(typed) < 3:
        ack(response_action="errors", errors={"words": "Say more"})
        return
    ack()
    client.chat_postMessage(channel=view["private_metadata"], text=f"Asked: {typed}")


@app.action("run")
def run(ack, body, respond):
    ack()
    respond(text=f"Ran {body['actions'][0]['value']}", replace_original=True)


@app.action("feedback")
def feedback_given(ack, body):
    ack()
    client.chat_postEphemeral(
        channel=body["channel"]["id"], user=body["user"]["id"], text=f"Noted: {body['actions'][0]['value']}"
    )


@app.shortcut("omni_ask_message")
def about(ack, shortcut, respond):
    ack()
    respond(text=f"About: {shortcut['message']['text']}")


@app.event("app_home_opened")
def home(event):
    if event["tab"] == "home":
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [section("Welcome")]})


@app.event("agent_session_stopped")
def stopped(event):
    client.agents_sessions_setStatus(channel_id=event["channel"], thread_ts=event["thread_ts"], status="active")


if mode == "http":
    app.start(port=int(sys.argv[3]), path="/slack/events", http_server_logger_enabled=False)
else:
    SocketModeHandler(app, os.environ["SLACK_APP_TOKEN"], ping_interval=1).start()
