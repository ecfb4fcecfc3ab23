"""Which operations bring one side to the other, and do they?"""
