"""The second reader: reads a request by rules of its own and says whether given calls are what it says.

It shares nothing with what writes the requests, so that a slip there shows up as a disagreement here.
"""

from data.structural.proof.reader.agree import agrees
from data.structural.proof.reader.request_mentions import RequestMentions, read

__all__ = ["RequestMentions", "agrees", "read"]
