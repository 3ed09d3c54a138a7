"""What DataKit answers that is not about points: its errors, its page, its durations."""

from decimal import Decimal

from ..http_server import Request, Response

PAGE_404 = "<!DOCTYPE html>\n<html><head><title>DataKit</title></head><body>404</body></html>\n"


def error(status_code: int, name: str, message: str = "") -> Response:
    """DataKit's error body; without a message, it has none."""
    body = {"error_code": f"datakit.{name}"}
    if message:
        body["message"] = message
    return Response(status_code, body)


def public_access_disabled(request: Request) -> Response:
    """The answer to a caller that is not on loopback, where the API is not public."""
    message = f"api {request.path} disabled from external IP, only loopback(localhost) allowed"
    return error(403, "publicAccessDisabled", message)


def go_duration(duration_ns: int) -> str:
    """As Go's time.Duration writes itself: 532.1ms, 12.3s, 1h2m3.456s."""
    if duration_ns < 10**9:
        return f"{Decimal(duration_ns) / 10**6:f}ms"
    seconds, rest_ns = divmod(duration_ns, 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{Decimal(seconds * 10**9 + rest_ns) / 10**9:f}s"
