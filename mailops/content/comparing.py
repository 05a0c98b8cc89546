"""Charges a comparison by what it reads: values as deep as one likes are compared by one short tag."""

from collections.abc import Callable
from typing import Any, Protocol

from liquid.builtin.expressions import logical
from liquid.builtin.tags import case_tag

_SOME = 10  # a text in a list is held against each entry: about a kilobyte of it in the time of an entry


class Account(Protocol):
    def spend(self, work: int) -> None: ...


def charge_equal(account: Account, left: Any, right: Any) -> None:
    """Charge for all that may be read to tell whether both are equal; texts that were looked up are paid for."""
    kinds = (type(left), type(right))
    is_walked = kinds == (dict, dict) or (kinds == (list, list) and len(left) == len(right))
    if is_walked and left is not right:
        _charge(account, left)


def charge_contains(account: Account, left: Any, right: Any) -> None:
    """Charge for looking for `right` in `left`."""
    if isinstance(left, str):
        if not isinstance(right, str):
            _charge(account, right)  # it is written out
    elif isinstance(left, list):
        for entry in left if isinstance(right, dict | list) else ():
            charge_equal(account, entry, right)
        if isinstance(right, str):
            account.spend(len(left) * (len(right) >> _SOME))


def _charge(account: Account, value: Any) -> None:
    """Charge for each entry of `value`, however deep, before it is walked."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            account.spend(len(one) >> 4)
        elif isinstance(one, dict):
            account.spend(2 * len(one) + 1)
            rest += one
            rest += one.values()
        elif isinstance(one, list | tuple):
            account.spend(len(one) + 1)
            rest += one


def _charged(
    charge: Callable[[Account, Any, Any], None], tell: Callable[[Any, Any], bool]
) -> Callable[[Any, Any], bool]:
    """Return what evaluates an expression with two sides."""

    def evaluate(expression: Any, context: Any) -> bool:
        left, right = expression.left.evaluate(context), expression.right.evaluate(context)
        if hasattr(context, "spend"):  # the library's own analysis brings a context of its own
            charge(context, left, right)
        return tell(left, right)

    return evaluate


def _evaluate_contains(expression: Any, context: Any) -> bool:
    left, right = expression.left.evaluate(context), expression.right.evaluate(context)
    if hasattr(context, "spend"):
        charge_contains(context, left, right)
    return bool(logical._contains(expression.token, left, right))  # noqa: SLF001


def _evaluate_cases(expression: Any, context: Any) -> list[bool]:
    left = expression.left.evaluate(context)
    found = []
    for each in expression.expressions:
        right = each.evaluate(context)
        if hasattr(context, "spend"):
            charge_equal(context, left, right)
        found.append(logical._eq(left, right))  # noqa: SLF001
    return found


def charge_comparisons() -> None:
    """Have the library charge for comparisons: its parser makes them by name, so no subclass can."""
    equal, at_most = logical._eq, logical._le  # noqa: SLF001
    evaluates: dict[Any, Any] = {
        logical.EqExpression: _charged(charge_equal, equal),
        logical.NeExpression: _charged(charge_equal, lambda left, right: not equal(left, right)),
        logical.LeExpression: _charged(charge_equal, at_most),
        logical.GeExpression: _charged(charge_equal, lambda left, right: at_most(right, left)),
        logical.ContainsExpression: _evaluate_contains,
        case_tag._AnyExpression: _evaluate_cases,  # noqa: SLF001
    }
    for kind, evaluate in evaluates.items():
        kind.evaluate = evaluate
