"""simcord, a simulation of Discord that none of this repository's authors wrote, over HTTP.

simcord answers the REST calls; what it has no notion of is added here: OAuth2 and joining with a user's token. Codes
and tokens name whom they are for (`user:ID`, `guild:ID:USER`), so nobody has to click. `POST /skin/...` moves the world.
"""

import json
import sys
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import simcord.http.routes  # noqa: F401  registers the routes
from simcord.backend import serializers
from simcord.backend.errors import BackendError
from simcord.backend.models import Role
from simcord.backend.state import Backend
from simcord.http import router



class Clock:
    """The machine's clock: members join when they join."""

    def now(self):
        return datetime.now(timezone.utc)


backend = Backend(clock=Clock())
lock = threading.Lock()


def guild(name):
    made = backend.create_guild(name)
    bot_role = next(role for role in made.roles.values() if role.managed)
    made.roles[made.id].permissions = 0
    return {"guild": str(made.id), "owner": str(made.owner_id), "bot_role": str(bot_role.id)}


def role(guild, id=None, **fields):
    known = backend.get_guild(int(guild))
    made = Role(id=int(id) if id else backend.snowflake(), **fields)
    known.roles[made.id] = made
    return {"id": str(made.id)}


def edit_role(guild, role, **fields):
    backend.edit_role(int(guild), int(role), fields)


def delete_role(guild, role):
    backend.delete_role(int(guild), int(role))


def user(name):
    return {"id": str(backend.make_user(name).id)}


def member(guild, user, roles=()):
    backend.add_member(int(guild), int(user), roles=[int(role) for role in roles], announce=True)


def bot_leaves(guild):
    backend.remove_guild(int(guild))


SKIN = {move.__name__: move for move in (guild, role, edit_role, delete_role, user, member, bot_leaves)}


def token(form):
    kind, *ids = form["code"].split(":")
    answer = {
        "token_type": "Bearer",
        "access_token": f"user:{ids[-1]}",
        "refresh_token": f"refresh:{ids[-1]}",
        "expires_in": 604800,
        "scope": "identify guilds.join" if kind == "user" else "bot",
    }
    if kind == "guild":
        answer["guild"] = router.dispatch(backend, "GET", f"/guilds/{ids[0]}")
    return answer


def join(path, body):
    guild, user = (int(part) for part in path.split("/")[2::2])
    if body.get("access_token") != f"user:{user}":
        raise BackendError(403, 50025, "Invalid OAuth2 access token")
    known = backend.get_guild(guild)
    if user in known.members:
        return 204, None
    backend.add_member(guild, user, announce=True)
    return 201, router.dispatch(backend, "GET", path)


def answer(method, path, query, body, headers):
    if path.startswith("/skin/"):
        return 200, SKIN[path.removeprefix("/skin/")](**(json.loads(body) if body else {})) or {}
    path = path.removeprefix("/api").removeprefix("/v10")
    if path == "/oauth2/token":
        return 200, token({name: values[0] for name, values in parse_qs(body.decode()).items()})
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    if path == "/users/@me" and bearer.startswith("user:"):
        return 200, serializers.user_payload(backend.get_user(int(bearer.split(":")[1])))
    body = json.loads(body) if body else None
    if method == "PUT" and len(path.split("/")) == 5 and path.split("/")[3] == "members":
        return join(path, body)
    reason = headers.get("x-audit-log-reason")
    done = router.dispatch(
        backend, method, path, json=body, params=dict(query), reason=unquote(reason) if reason else None
    )
    return (204, None) if done is None else (200, done)


class Skin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            with lock:
                status, said = answer(self.command, parts.path, query, body, self.headers)
        except router.RouteNotImplemented as gap:
            status, said = 501, {"code": 0, "message": str(gap)}
        except BackendError as refused:
            status, said = refused.status, refused.to_json()
        text = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = reply

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Skin)
server.daemon_threads = True
print(server.server_port, flush=True)
# Whoever started it ends it by closing the pipe.
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()
