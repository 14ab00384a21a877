"""
What stands before an HTTP server and hands on to it: the base that the proxy and the gateway share.

A server of ASGI on a socket of its own (`served`), whose parser refuses what is no request (`protocol`) and whose
answers' heads go out with what is there of their bodies (`joined_writes`), the
connections to the one that requests go on to (`upstream`; through a proxy that the environment names, `forward_proxy`; what is an answer, `answer_head`; where a body ends, `transfer_coding`), and the end of work whose client hangs up (`presence`).
"""
