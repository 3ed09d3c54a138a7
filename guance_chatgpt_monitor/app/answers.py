"""What the core reads of answers, by the names that the application's part knows it by."""

from typing import Optional

from ..core.answers import has_content
from ..core.errors import classify_exception
from ..core.fields import fields_of
from ..core.fields import parse_object as parse_body
from ..core.usage import usage_at_end

__all__ = ("error_type_of", "fields_of", "has_content", "parse_body", "usage_at_end")


def error_type_of(error: BaseException, status_code: Optional[int]) -> str:
    return classify_exception(error, status_code)
