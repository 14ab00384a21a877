"""Cloud Billing budgets."""
