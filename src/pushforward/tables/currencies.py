"""Signs and codes of currencies that stand before or after amounts of money."""

import re

# ISO 4217, without codes of funds, metals and tests.
_ISO = """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL DEM FRF ITL ESP ATS NLG BEF"""
CODES = "|".join(re.findall("[A-Z]{3}", _ISO))
# As they stand before numbers, in the syntax that pyarrow and Python's `regex` share.
CURRENCY = rf"(?:(?:(?:US|A|C|NZ|HK|R|S|CA|AU) ?)?\p{{Sc}}|{CODES}|SFr\.?|Fr\.?|Rs\.?|kr\.?|zł|Kč|Ft|lei)"
_WORDS = re.compile(rf"^(?:.*[$£¥€₤₩₪₫₱₹₺₽฿¢₦₴₸].*|(?:{CODES})\b.*|(?:SFr|Fr|Rs|kr|zł|Kč|Ft|lei)\.?)$")


def is_currency(text: str) -> bool:
    """Whether what stands before or after a number is a currency.

    Example:
        >>> is_currency("US$ "), is_currency(" EUR"), is_currency(" kg")
        (True, True, False)
    """
    return bool(_WORDS.match(text.strip()))
