"""The life of one request, from its head to its record.

    1  the door has the head                              exchange made
    2  run: the rules decide                              evaluate, decide
       the rule wants to know who asks                    _authenticate, first
    3  Reply: answered here                               _answer
       Route: the group picks a target                    _send
    4  an idle connection is at hand: sent at once        _dispatch
       else one is opened, in a task                      _connect
    5  the rest of the request streams to the target      request_continued
    6  the response streams to the client                 response_started, response_continued
    7  exactly one record, however it ended               _finish

Steps 2 to 7 run in the callbacks of the two connections; awaited are only the opening of a connection and the answers
of identity providers. A request is one object of three classes, each of which knows the next one only: `deciding` has
steps 1 to 3, `forwarding` 4 to 6, `ending` the last.
"""

from proxy.exchange.deciding import RequestExchange as RequestExchange
from proxy.exchange.ending import PAGE_HEADERS as PAGE_HEADERS
