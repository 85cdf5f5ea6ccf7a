"""Every kind of view that the framework has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer, PrimaryKeyRelatedField, Serializer
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from wellstreak_trust.adapters.django import public
from wellstreak_trust.adapters.django.rest_framework import Guarded, the_object

from .models import Note
from .security import CREATE, LIST, PURGE, READ, UPDATE, tenant_now


class NoteSerializer(ModelSerializer):
    class Meta:
        model = Note
        fields = ("id", "text", "owner_id")


class Link(Serializer):
    """Its form lists rows of the tenant, when the page is rendered."""

    note = PrimaryKeyRelatedField(queryset=Note.objects.all())


class Notes(ModelViewSet):
    queryset = Note.objects.order_by("id")
    serializer_class = NoteSerializer
    permission_classes = (Guarded(),)
    operations = {
        "list": LIST,
        "retrieve": READ,
        "create": CREATE,
        "update": Guarded(UPDATE, resource=the_object),
        "partial_update": UPDATE,
        "destroy": PURGE,
        "pin": READ,
    }

    def perform_create(self, serializer: Any) -> None:
        serializer.save(owner_id=self.request.user.id)

    @action(detail=True)
    def pin(self, request: Request, t: str, pk: str) -> Response:
        return Response(f"{tenant_now()} {self.get_object().text}")

    @action(detail=False, permission_classes=[Guarded(LIST)])
    def count(self, request: Request, t: str) -> Response:
        return Response(self.get_queryset().count())


class Plain(APIView):
    permission_classes = (Guarded(),)
    operations = {"get": READ, "post": CREATE}

    def get(self, request: Request, t: str) -> Response:
        return Response({"tenant": tenant_now(), "user": str(request.user), "known": request.user.is_authenticated})

    def post(self, request: Request, t: str) -> Response:
        return Response({"sent": request.data}, 201)


class Links(APIView):
    permission_classes = (Guarded(READ),)
    serializer_class = Link

    def get_serializer(self, *args: Any, **kwargs: Any) -> Link:
        return Link(*args, **kwargs)

    def get(self, request: Request, t: str) -> Response:
        return Response({})

    def post(self, request: Request, t: str) -> Response:
        found = self.get_serializer(data=request.data)
        found.is_valid(raise_exception=True)
        return Response({"note": found.validated_data["note"].pk})


class Never(BaseThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        return False

    def wait(self) -> float:
        return 7


class Throttled(Plain):
    throttle_classes = (Never,)


class Refuses(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return False


class RefusedBesides(Plain):
    permission_classes = (Guarded(READ), Refuses)


@api_view(["GET", "POST"])
@permission_classes([Guarded(READ)])
def function(request: Request, t: str) -> Response:
    if request.method == "POST":
        raise ZeroDivisionError
    return Response(tenant_now())


@api_view(["GET"])
@permission_classes([Guarded(READ)])
def stream(request: Request, t: str) -> StreamingHttpResponse:
    def steps() -> Iterator[str]:
        for _ in range(3):
            yield tenant_now()

    return StreamingHttpResponse(steps())


@public("a test")
class Open(APIView):
    def get(self, request: Request) -> Response:
        return Response({"user": str(request.user), "known": request.user.is_authenticated})
