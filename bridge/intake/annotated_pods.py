"""The pods that ask for groups by an annotation of their own."""

from collections.abc import Iterator

from bridge.model.observed import Pod
from bridge.policy.select import ADDRESS_GROUP_ANNOTATION

_Asked = tuple[str, str]  # namespace and value


class AnnotatedPods:
    """One pod stands for all of a namespace that ask alike: a hundred replicas are one wish."""

    def __init__(self) -> None:
        self._asked: dict[str, _Asked] = {}
        self._alike: dict[_Asked, dict[str, Pod]] = {}

    def __iter__(self) -> Iterator[Pod]:
        """One pod for each wish."""
        return (next(iter(pods.values())) for pods in self._alike.values())

    def put(self, pod: Pod) -> bool:
        """Take a pod as it is now; whether there is another set of wishes for it."""
        if not pod.annotations and not self._asked:
            return False  # the usual case, as cheap as can be
        text = pod.annotations.get(ADDRESS_GROUP_ANNOTATION)
        asked = None if text is None else (pod.namespace, text)
        if self._asked.get(pod.uid) == asked:
            return False
        changed = self.remove(pod.uid)
        if asked is None:
            return changed
        new = asked not in self._alike
        self._alike.setdefault(asked, {})[pod.uid] = pod
        self._asked[pod.uid] = asked
        return changed or new

    def remove(self, uid: str) -> bool:
        """Forget a pod; whether nobody is left with its wish."""
        asked = self._asked.pop(uid, None)
        if asked is None:
            return False
        del self._alike[asked][uid]
        if self._alike[asked]:
            return False
        del self._alike[asked]
        return True
