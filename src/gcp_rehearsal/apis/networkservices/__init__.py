"""Network Services and Network Security: extensions of load balancers, and the policies that call them."""
