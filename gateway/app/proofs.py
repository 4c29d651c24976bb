"""RecordProof, GetLatestProof: what the proof of the whole suite found when it last looked."""

from sqlalchemy import delete, select

from argosy.gateway.v1 import proofs_service_pb2
from chassis.kernel.clock import DAY, to_timestamp
from chassis.kernel.ids import new_id
from chassis.runtime.pipeline import Asked
from chassis.runtime.work import Work
from gateway.app.prove import Proof
from gateway.store.tables import PROOFS

KEEP_US = 30 * DAY


async def record_proof(work: Work, request: proofs_service_pb2.RecordProofRequest) -> proofs_service_pb2.Proof:
    """Keeps it for a month."""
    proof = proofs_service_pb2.Proof(proved_at=to_timestamp(work.now), breaks=request.breaks, in_flight=request.in_flight)
    await work.tx.write(delete(PROOFS).where(PROOFS.c.proved_at < work.now - KEEP_US))
    await work.tx.insert(PROOFS, [{"proof_id": new_id(), "body": proof.SerializeToString(), "proved_at": work.now}])
    return proof


async def get_latest_proof(asked: Asked) -> proofs_service_pb2.Proof:
    """Answers an empty one where nothing was proved yet."""
    rows = await asked.tx.read(select(PROOFS.c.body).order_by(PROOFS.c.proof_id.desc()).limit(1))
    return proofs_service_pb2.Proof.FromString(rows[0].body) if rows else proofs_service_pb2.Proof()


def record_of(proof: Proof) -> proofs_service_pb2.RecordProofRequest:
    """Returns a proof as it is recorded; of many breaks, the first thousand."""
    breaks = [
        proofs_service_pb2.ProofBreak(check=one.check, service=one.service, subject=one.subject[:300], detail=one.detail[:2000])
        for one in proof.breaks[:1000]
    ]
    return proofs_service_pb2.RecordProofRequest(request_id=new_id(), breaks=breaks, in_flight=proof.in_flight)
