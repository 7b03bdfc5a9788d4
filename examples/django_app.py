"""A Django view that streams. The record is persisted after the last piece, or when the browser disconnects."""

from __future__ import annotations

import json
import os
from uuid import UUID

from chat import answer
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"], ROOT_URLCONF=__name__, SECRET_KEY=os.environ.get("SECRET_KEY", "local")
)


@csrf_exempt
def chat(request: HttpRequest) -> StreamingHttpResponse:
    """In a real application the user comes from the session: `request.user`."""
    question = json.loads(request.body)
    return StreamingHttpResponse(answer(UUID(question["user_id"]), question["question"]), content_type="text/plain")


urlpatterns = [path("chat", chat)]
application = get_wsgi_application()
