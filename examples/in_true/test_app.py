from models import Customer, Invoice


def test_a_customer_has_invoices():
    customer = Customer(email="ada@example.org", invoices=[Invoice(state="draft")])
    assert customer.invoices[0].customer is customer
