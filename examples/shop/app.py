"""The application: it takes orders until ctrl-C, then says how it went."""

import os
import random
import time

from sqlalchemy import create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from truing import make_retryable, retry_on_schema_change

from models import Customer, Order

engine = make_retryable(create_engine(os.environ["DATABASE_URL"]))


@retry_on_schema_change
def take_order(number):
    with Session(engine) as session, session.begin():
        customer = session.scalars(
            select(Customer).order_by(Customer.name).offset(random.randrange(100)).limit(1)
        ).one()
        session.add(Order(customer_id=customer.id, item=f"Item {number}"))


taken, failed, slowest = 0, 0, 0.0
print("Taking orders; ctrl-C ends it.", flush=True)
try:
    while True:
        start = time.monotonic()
        try:
            take_order(taken)
            taken += 1
        except SQLAlchemyError as error:
            failed += 1
            print(error, flush=True)
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.01)
except KeyboardInterrupt:
    print(f"{taken} orders taken, {failed} failed; the slowest took {slowest * 1000:.0f} ms.")
