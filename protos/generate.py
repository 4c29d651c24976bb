"""Makes protos/gen, and build/contracts.binpb with the comments, from protos/argosy.

buf/validate/validate.proto is not published as a file with the installed validator; its descriptor is, and protoc
reads that as well. Run by `make gen`; tests/contract/test_generated.py fails where the result is not committed.
"""

import shutil
import sys
from pathlib import Path

import grpc_tools
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent
VALIDATE = "buf/validate/validate.proto"


def validate_descriptor(folder: Path) -> Path:
    """Writes the validator's own descriptor as a FileDescriptorSet and returns its path."""
    file = descriptor_pb2.FileDescriptorProto.FromString(validate_pb._DESC.proto.to_binary())
    path = folder / "validate.binpb"
    path.write_bytes(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString())
    return path


def generate(protos: Path, out: Path, image: Path) -> None:
    """Generates Python, stubs and gRPC stubs into `out`, and the descriptor set with comments into `image`."""
    image.parent.mkdir(parents=True, exist_ok=True)
    site = Path(grpc_tools.__file__).resolve().parent
    google = Path(annotations_pb2.__file__).resolve().parents[2]
    names = sorted(str(p.relative_to(protos)) for p in (protos / "argosy").rglob("*.proto"))
    services = [n for n in names if n.endswith("_service.proto")]
    common = [
        "protoc",
        f"--proto_path={protos}",
        f"--proto_path={google}",
        f"--proto_path={site / '_proto'}",
        f"--descriptor_set_in={validate_descriptor(image.parent)}",
    ]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    runs = (
        [f"--python_out={out}", f"--mypy_out=quiet:{out}", *names, VALIDATE],
        [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *services],
        ["--include_imports", "--include_source_info", f"--descriptor_set_out={image}", *names],
    )
    for arguments in runs:
        if protoc.main([*common, *arguments]) != 0:
            sys.exit(1)
    packages = [out / "argosy", *(p for p in (out / "argosy").rglob("*") if p.is_dir()), out / "buf", out / "buf/validate"]
    for folder in packages:
        (folder / "__init__.py").touch()
        (folder / "py.typed").touch()


if __name__ == "__main__":
    paths = [Path(argument) for argument in sys.argv[1:]] or [ROOT, ROOT / "gen", ROOT.parent / "build/contracts.binpb"]
    generate(*paths)
