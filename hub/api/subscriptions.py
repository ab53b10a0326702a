"""Subscriptions: what is followed as it changes. A push says what is true now; see `hub.links.console`."""

from __future__ import annotations

from common.api import rights
from common.api.arguments import RequestArgs
from common.api.rights import Right
from common.api.subscriptions import (
    OutputArgs,
    OutputSubscribed,
    OverviewArgs,
    Subscribed,
    UnsubscribeArgs,
    Unsubscribed,
    ViewArgs,
    WatchArgs,
    WatchSubscribed,
)
from common.api.work import FollowSubscribed
from hub.api.context import ApiContext
from hub.api.following import FollowSubscription, OutputSubscription, WatchSubscription
from hub.api.list_reader import WindowQuery
from hub.api.live_lists import LiveLists
from hub.api.lookup import find_job, find_request, parse_filter, unknown_sort
from hub.api.notifications import Notifications
from hub.api.overview import OverviewReader
from hub.api.subscription import Access
from hub.links.console import Caller, InvalidArguments
from hub.links.subscription import Subscription
from hub.store.lists import UnknownSort

DEFAULT_ROWS = 100


class SubscriptionHandlers:
    def __init__(
        self, context: ApiContext, live_lists: LiveLists, overview: OverviewReader, notifications: Notifications
    ) -> None:
        self._context = context
        self._live_lists = live_lists
        self._overview = overview
        self._notifications = notifications

    async def unsubscribe(self, caller: Caller, args: UnsubscribeArgs) -> Unsubscribed:
        caller.link.unsubscribe(args.id)
        return Unsubscribed(id=args.id)

    async def view(self, caller: Caller, args: ViewArgs) -> Subscribed:
        wanted = parse_filter(args.view, args.filter, caller.person, args.language)
        query = WindowQuery(wanted, args.sort, args.lo, DEFAULT_ROWS if args.n is None else args.n)
        access = self._access(rights.VIEW_RIGHTS[args.view])
        try:
            subscription = self._live_lists.subscribe(caller, access, query)
        except UnknownSort as error:
            raise unknown_sort(error) from None
        _start(caller, subscription, args.replace)
        return Subscribed(id=subscription.id)

    async def overview(self, caller: Caller, args: OverviewArgs) -> Subscribed:
        subscription = self._overview.subscribe(caller, self._access(rights.JOBS), args.language)
        _start(caller, subscription, args.replace)
        return Subscribed(id=subscription.id)

    async def output(self, caller: Caller, args: OutputArgs) -> OutputSubscribed:
        """Any number of consoles may follow one job, each from its own place; older pages are asked for by `job`."""
        store = self._context.store
        job = await store.read(lambda txn: find_job(txn, args.job))
        subscription = OutputSubscription(
            caller, self._access(rights.JOBS), store, self._notifications, job.id, args.after or 0
        )
        _start(caller, subscription, args.replace)
        return OutputSubscribed(id=subscription.id, job=job.id)

    async def follow(self, caller: Caller, args: RequestArgs) -> FollowSubscribed:
        store = self._context.store
        request = await store.read(lambda txn: find_request(txn, args))
        subscription = FollowSubscription(caller, self._access(rights.JOBS), store, self._notifications, request.id)
        _start(caller, subscription)
        return FollowSubscribed(id=request.id, number=request.number)

    async def watch(self, caller: Caller, args: WatchArgs) -> WatchSubscribed:
        """From now on, or, for those who may read the audit, from behind an earlier event."""
        store = self._context.store
        after = args.after
        if after is None:
            after = (await store.read(lambda txn: txn.audit_head()))[0]
        subscription = WatchSubscription(caller, self._access(rights.WATCH), store, self._notifications, after)
        _start(caller, subscription)
        return WatchSubscribed(after=after)

    def _access(self, right: Right) -> Access:
        return Access(right, self._context.people.roles)


def _start(caller: Caller, subscription: Subscription, replace: int | None = None) -> None:
    """Starts a subscription, in the place of the one whose id is `replace`."""
    if replace is not None:
        caller.link.unsubscribe(replace)
    try:
        caller.link.subscribe(subscription)
    except InvalidArguments:
        subscription.close()
        raise
