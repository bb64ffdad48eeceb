"""Golden requests and replies, made and read by botocore itself.

golden.py write DIR   writes DIR/requests.jsonl: for every typed operation, requests as botocore sends them, in every
                      protocol that the service's model lists
golden.py check DIR   reads DIR/replies.jsonl (written by wire's tests): botocore has to parse each reply into
                      exactly the value that was rendered

The operations are those of the product's tables and of the tables that only wire's tests have. Needs the botocore of
tools/requirements.txt; touches no network.
"""

import base64
import datetime
import json
import pathlib
import re
import sys
import urllib.parse

import botocore.awsrequest
import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize

# The models as they are published; what botocore adds of its own is not on the wire.
LOADER = botocore.loaders.Loader(include_default_extras=False)
CRATES = pathlib.Path(__file__).parent.parent / "crates"
PRODUCT = {path.parent.parent.name: path for path in sorted((CRATES / "models").glob("*/src/service.rs"))}
TABLES = sorted((CRATES / "wire/tests/generated").glob("*.rs"))
TESTED = {path.stem.replace("_", "-"): path for path in TABLES if path.stem != "all"}
# A service of our own that uses what awsQuery can do and GetCallerIdentity does not.
PROBE = {
    "metadata": {
        "apiVersion": "2026-01-01",
        "endpointPrefix": "probe",
        "protocol": "query",
        "protocols": ["query"],
        "serviceId": "Probe",
        "signatureVersion": "v4",
        "xmlNamespace": "https://probe/",
    },
    "operations": {
        "Do": {
            "name": "Do",
            "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": "Everything"},
            "output": {"shape": "Everything", "resultWrapper": "DoResult"},
        }
    },
    "shapes": {
        "Everything": {
            "type": "structure",
            "members": {
                "Tags": {"shape": "Tags"},
                "Flat": {"shape": "Flat"},
                "Map": {"shape": "Map"},
                "Flag": {"shape": "Flag"},
                "When": {"shape": "When"},
                "Data": {"shape": "Data"},
                "Size": {"shape": "Size"},
            },
        },
        "Tags": {"type": "list", "member": {"shape": "Tag"}},
        "Tag": {"type": "structure", "members": {"key": {"shape": "Text", "locationName": "Key"}, "n": {"shape": "Number"}}},
        "Flat": {"type": "list", "member": {"shape": "Text"}, "flattened": True},
        "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Number"}},
        "Text": {"type": "string"},
        "Number": {"type": "integer"},
        "Flag": {"type": "boolean"},
        "When": {"type": "timestamp"},
        "Data": {"type": "blob"},
        "Size": {"type": "double"},
    },
}


def service_model(service):
    if service == "probe":
        return botocore.model.ServiceModel(PROBE, "probe")
    return botocore.model.ServiceModel(LOADER.load_service_model(service, "service-2"), service)


def protocols(model):
    return model.metadata.get("protocols") or [model.metadata["protocol"]]


def typed_operations(service, model):
    """The operations of the allow list, as the committed code has them; streams of events are refused."""
    if service == "probe":
        return model.operation_names
    rows = (PRODUCT | TESTED)[service].read_text().splitlines()
    rows = [row for row in rows if ".event_stream()" not in row]
    return re.findall(r'Operation::typed\("(\w+)"\)', "\n".join(rows))


# Every pattern of the typed operations takes one of these; without one, text that needs care.
PLAIN = [
    *("a" * 12, "1" * 12, "1.1", "a.b", "subnet-0a", "sg-0a", "/mnt/a", "us-east-1", "00000000-0000-4000-8000-000000000000"),
    *(f"arn:aws:{rest}" for rest in (
        "iam::123456789012:role/role", "scheduler:us-east-1:123456789012:schedule-group/name",
        "lambda:us-east-1:123456789012:function:name", "lambda:us-east-1:123456789012:layer:name:1",
        "lambda:us-east-1:123456789012:code-signing-config:csc-" + "a" * 17,
        "lambda:us-east-1:123456789012:capacity-provider:name", "lambda:us-east-1:123456789012:runtime/name",
        "elasticfilesystem:us-east-1:123456789012:access-point/fsap-" + "0" * 17,
        "kms:us-east-1:123456789012:key/name", "sqs:us-east-1:123456789012:name",
        "secretsmanager:us-east-1:123456789012:secret:name")),
    "aws.partner/a/b/c", "events:PutEvents",
]
CAREFUL = {"header": 'aZ0-"x" <y>', None: 'aZ0-é"<&>\n€'}


def text(shape, place):
    pattern = shape.metadata.get("pattern")
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 10_000)
    if not pattern:
        return CAREFUL.get(place, CAREFUL[None] + "/ +%").ljust(low, "x")[:high]
    pattern = pattern.replace("\\p", "a")
    for text in PLAIN:
        if re.fullmatch(pattern, text) and low <= len(text) <= high:
            return text
    for length in range(low, min(high, 64) + 1):
        for letter in ("a", "1"):
            if re.fullmatch(pattern, letter * length):
                return letter * length
    raise ValueError(f"{shape.name}: no text for {pattern}")


def sample(shape, full, protocol, depth=0, place=None):
    """A value that meets the shape's constraints; `full` sets every member, else only the required ones."""
    kind = shape.type_name
    if kind == "structure":
        if shape.is_document_type:
            return {"any": ["thing", 1]}
        union = getattr(shape, "is_tagged_union", False)
        members = list(shape.members)[:1] if union else shape.members
        required = shape.required_members
        chosen = [m for m in members if union or m in required or (full and depth < 12)]
        if not chosen and depth > 0 and protocol in ("query", "ec2"):
            # A form has no empty structures.
            chosen = list(members)[:1]
        places = {m: shape.members[m].serialization.get("location") if depth == 0 else None for m in chosen}
        places = {m: "header" if place == "headers" else place for m, place in places.items()}
        return {m: sample(shape.members[m], full, protocol, depth + 1, places[m]) for m in chosen}
    # What is empty cannot be told from what is absent where nothing stands around its entries.
    bare = place or protocol == "ec2" or shape.serialization.get("flattened")
    if kind == "list":
        count = max(1 if full or bare else 0, shape.metadata.get("min", 0))
        return [sample(shape.member, full, protocol, depth + 1, place) for _ in range(count)]
    if kind == "map":
        count = max(1 if full or bare else 0, shape.metadata.get("min", 0))
        value = sample(shape.value, full, protocol, depth + 1, place)
        return dict.fromkeys(shape.key.enum[:count] or [f"key{i}" for i in range(count)], value)
    low = shape.metadata.get("min", 0)
    if kind == "string":
        if place == "header" and shape.serialization.get("jsonvalue"):
            return {"a": [1, "é"]}
        return shape.enum[-1] if shape.enum else text(shape, place)
    if kind in ("integer", "long"):
        return int(max(low, min(7, shape.metadata.get("max", 7))))
    if kind in ("double", "float"):
        return max(float(low), 0.25)
    if kind == "boolean":
        return True
    if kind == "timestamp":
        # Headers have whole seconds, and so has their format elsewhere.
        whole = place == "header" or shape.serialization.get("timestampFormat") == "rfc822"
        micros = 0 if whole else 250000
        return datetime.datetime(2026, 11, 23, 10, 0, 0, micros, tzinfo=datetime.timezone.utc)
    if kind == "blob":
        return b"\x00\xffblob"
    raise ValueError(kind)


def plain(value, shape=None):
    """The value as JSON has it: seconds, base64; and the JSON in headers as text."""
    if isinstance(value, datetime.datetime):
        seconds = value.timestamp()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if shape is not None and shape.type_name == "string" and not isinstance(value, str):
        return json.dumps(value, separators=(",", ":"))
    members = getattr(shape, "members", None) or {}
    if isinstance(value, dict):
        return {k: plain(v, members.get(k)) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def carried(body):
    """A body as a JSON line has it: text, or else base64."""
    body = body.encode() if isinstance(body, str) else body or b""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body64": base64.b64encode(body).decode()}


def sent(serializer, value, operation):
    """The request as it leaves botocore, but for the signature."""
    request = serializer.serialize_to_request(value, operation)
    own = {name.lower() for name in request["headers"]}
    botocore.awsrequest.prepare_request_dict(request, "https://localhost")
    prepared = botocore.awsrequest.create_request_object(request).prepare()
    url = urllib.parse.urlsplit(prepared.url)
    headers = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in prepared.headers.items()}
    # The length of the body, where it is not a member of the input, is HTTP's.
    headers = {k: v for k, v in headers.items() if k.lower() != "content-length" or k.lower() in own}
    return {"method": prepared.method, "host": url.netloc, "path": url.path, "query": url.query,
            "headers": headers} | carried(prepared.body)


def write(folder):
    with open(f"{folder}/requests.jsonl", "w") as out:
        for service in [*PRODUCT, "probe", *TESTED]:
            model = service_model(service)
            for protocol in protocols(model):
                serializer = botocore.serialize.create_serializer(protocol, True)
                for name in typed_operations(service, model):
                    operation = model.operation_model(name)
                    shape = operation.input_shape
                    values = [sample(shape, full, protocol) for full in (False, True)] if shape else [{}]
                    for value in values:
                        line = {"service": service, "protocol": protocol, "operation": name, "input": plain(value, shape)}
                        line |= sent(serializer, value, operation)
                        out.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")


class Stream:
    """A body that botocore hands on as it comes."""

    def __init__(self, body):
        self.body = body


def parse(reply, operation):
    """What botocore makes of a reply."""
    body = reply["body"].encode() if "body" in reply else base64.b64decode(reply["body64"])
    if operation.has_streaming_output and "output" in reply:
        body = Stream(body)
    headers = botocore.awsrequest.HeadersDict(reply["headers"])
    response = {"status_code": reply["status"], "headers": headers, "body": body}
    parsed = botocore.parsers.create_parser(reply["protocol"]).parse(response, operation.output_shape)
    return {k: v.body if isinstance(v, Stream) else v for k, v in parsed.items()}


def told(found, wanted, shape):
    """What was parsed without what botocore adds of itself: the status, and empty ends of absent members."""
    members = shape.members if shape else {}
    status = {name for name, member in members.items() if member.serialization.get("location") == "statusCode"}
    return {k: v for k, v in found.items() if k in wanted or (k not in status and v not in ({}, b"", ""))}


def check(folder):
    count = 0
    for line in open(f"{folder}/replies.jsonl"):
        reply = json.loads(line)
        operation = service_model(reply["service"]).operation_model(reply["operation"])
        where = f"{reply['service']} {reply['protocol']} {reply['operation']} {reply['status']}"
        try:
            parsed = parse(reply, operation)
        except Exception as error:
            raise AssertionError(f"{where}: {reply}") from error
        meta = parsed.pop("ResponseMetadata")
        if reply["protocol"] != "smithy-rpc-v2-cbor" or operation.output_shape or "error" in reply:
            # Where CBOR has no output, botocore does not look at the headers.
            assert meta["RequestId"] == "00000000-0000-4000-8000-000000000000", (where, meta)
        if "error" in reply:
            found = {"code": parsed["Error"]["Code"], "message": parsed["Error"]["Message"]}
            assert found == reply["error"], (where, found, reply["error"])
            assert meta["HTTPStatusCode"] == reply["status"]
        else:
            wanted = reply["output"]
            found = plain(told(parsed, wanted, operation.output_shape))
            assert found == wanted, f"{where}:\n{json.dumps(found, sort_keys=True)}\n{json.dumps(wanted, sort_keys=True)}"
        count += 1
    assert count > 400, count
    print(f"botocore read {count} replies as they were meant")


if __name__ == "__main__":
    verb, folder = sys.argv[1:3]
    if verb == "write":
        write(folder)
    else:
        check(folder)
