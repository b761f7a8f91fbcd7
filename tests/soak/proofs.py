"""Every proof there is, in the order in which they run. A module of this folder brings one as `PROOF`, and is named here."""

from tests.soak import churning, killing, pausing, swinging
from tests.soak.proof import Proof

PROOFS: tuple[Proof, ...] = (killing.PROOF, pausing.PROOF, churning.PROOF, swinging.PROOF)
BY_NAME = {proof.name: proof for proof in PROOFS}
