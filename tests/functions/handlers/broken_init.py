raise ValueError("at import")


def handler(event, context):
    return None
