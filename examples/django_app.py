"""A Django view that streams: the record is persisted when the last piece is sent, or when the browser has gone."""

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
    """Who asks would come from the session: `request.user`."""
    asked = json.loads(request.body)
    return StreamingHttpResponse(answer(UUID(asked["user_id"]), asked["question"]), content_type="text/plain")


urlpatterns = [path("chat", chat)]
application = get_wsgi_application()
