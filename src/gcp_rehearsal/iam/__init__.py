"""Who may do what: roles, permissions, and the policies that grant them."""
