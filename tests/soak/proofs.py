"""Every proof there is, in the order in which they run. A module of this folder brings one as `PROOF`, and is named here."""

from tests.soak.proof import Proof

PROOFS: tuple[Proof, ...] = ()
BY_NAME = {proof.name: proof for proof in PROOFS}
