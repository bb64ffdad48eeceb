"""Golden requests and replies, made and read by botocore itself.

golden.py write DIR   writes DIR/requests.jsonl: for every typed operation, requests as botocore sends them
golden.py check DIR   reads DIR/replies.jsonl (written by wire's tests): botocore has to parse each reply into
                      exactly the value that was rendered

Needs the botocore of tools/requirements.txt; touches no network.
"""

import base64
import datetime
import json
import pathlib
import re
import sys
import urllib.parse

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize

LOADER = botocore.loaders.Loader()
MODELS = pathlib.Path(__file__).parent.parent / "crates/models"
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


def typed_operations(service, model):
    """The operations of the allow list, as the committed code has them."""
    if service == "probe":
        return model.operation_names
    code = (MODELS / service / "src/operations.rs").read_text()
    return re.findall(r'^request!\(.*"(\w+)"\);$', code, re.MULTILINE)


def sample(shape, full, depth=0, name=""):
    """A value that meets the shape's constraints; `full` sets every member, else only the required ones."""
    kind = shape.type_name
    if kind == "structure":
        if shape.is_document_type:
            return {"any": ["thing", 1]}
        union = getattr(shape, "is_tagged_union", False)
        members = list(shape.members)[:1] if union else shape.members
        required = shape.required_members
        chosen = [m for m in members if union or m in required or (full and depth < 12)]
        return {m: sample(shape.members[m], full, depth + 1, m) for m in chosen}
    if kind == "list":
        count = max(1 if full else 0, shape.metadata.get("min", 0))
        return [sample(shape.member, full, depth + 1, name) for _ in range(count)]
    if kind == "map":
        count = max(1 if full else 0, shape.metadata.get("min", 0))
        value = sample(shape.value, full, depth + 1)
        return {f"key{i}": value for i in range(count)}
    low = shape.metadata.get("min", 0)
    if kind == "string":
        if shape.enum:
            return shape.enum[-1]
        # Every pattern of the typed operations takes one of these two; without one, text that needs care.
        pattern = shape.metadata.get("pattern")
        text = 'aZ0-é"<&>\n€'
        if pattern:
            text = next(text for text in ("a" * 12, "1" * 12) if re.fullmatch(pattern.replace("\\p", "a"), text))
        return text.ljust(low, "x")[: shape.metadata.get("max", 10_000)]
    if kind in ("integer", "long"):
        return int(max(low, min(7, shape.metadata.get("max", 7))))
    if kind in ("double", "float"):
        return max(float(low), 0.25)
    if kind == "boolean":
        return True
    if kind == "timestamp":
        return datetime.datetime(2026, 11, 23, 10, 0, 0, 250000, tzinfo=datetime.timezone.utc)
    if kind == "blob":
        return b"\x00\xffblob"
    raise ValueError(kind)


def plain(value):
    """The value as JSON has it: seconds, base64."""
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def write(folder):
    with open(f"{folder}/requests.jsonl", "w") as out:
        for service in ("ecs", "logs", "sts", "probe"):
            model = service_model(service)
            serializer = botocore.serialize.create_serializer(model.metadata["protocol"], True)
            for name in typed_operations(service, model):
                operation = model.operation_model(name)
                values = [{}]
                if operation.input_shape:
                    values = [sample(operation.input_shape, full) for full in (False, True)]
                for value in values:
                    request = serializer.serialize_to_request(value, operation)
                    body = request["body"]
                    if isinstance(body, dict):
                        body = urllib.parse.urlencode(body)
                    elif isinstance(body, bytes):
                        body = body.decode()
                    line = {
                        "service": service,
                        "operation": name,
                        "headers": request["headers"],
                        "body": body,
                        "input": plain(value),
                    }
                    out.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")


def check(folder):
    count = 0
    for line in open(f"{folder}/replies.jsonl"):
        reply = json.loads(line)
        model = service_model(reply["service"])
        parser = botocore.parsers.create_parser(model.metadata["protocol"])
        response = {"status_code": reply["status"], "headers": reply["headers"], "body": reply["body"].encode()}
        operation = model.operation_model(reply["operation"])
        parsed = parser.parse(response, operation.output_shape)
        meta = parsed.pop("ResponseMetadata")
        where = f"{reply['service']} {reply['operation']} {reply['status']}"
        assert meta["RequestId"] == "00000000-0000-4000-8000-000000000000", (where, meta)
        if "error" in reply:
            found = {"code": parsed["Error"]["Code"], "message": parsed["Error"]["Message"]}
            assert found == reply["error"], (where, found, reply["error"])
            assert meta["HTTPStatusCode"] == reply["status"]
        else:
            found, wanted = plain(parsed), reply["output"]
            assert found == wanted, f"{where}:\n{json.dumps(found, sort_keys=True)}\n{json.dumps(wanted, sort_keys=True)}"
        count += 1
    assert count > 100, count
    print(f"botocore read {count} replies as they were meant")


if __name__ == "__main__":
    verb, folder = sys.argv[1:3]
    if verb == "write":
        write(folder)
    else:
        check(folder)
